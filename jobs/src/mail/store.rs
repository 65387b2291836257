//! The rows that emails are made of. Each query reads the current state; rows that have expired or
//! are gone are not found.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Recipient;
use crate::{
    ids::{AccountId, DeliveryId, TenantId, TokenId, UserId},
    posts::DeliveryState,
    service_keys::Service,
};

/// The maximum number of recipients of one email.
const MOST_STAFF: i64 = 100;

/// The name and address of a recipient.
#[derive(Debug, Clone)]
pub(super) struct Addressee {
    pub(super) email: String,
    /// The name; may be empty.
    pub(super) name: String,
}

/// A link that can still be used.
pub(super) struct LinkRow {
    pub(super) email: String,
    pub(super) expires_at: DateTime<Utc>,
}

/// Returns a link that was not used and has not expired.
pub(super) async fn get_open_link(
    conn: &mut PgConnection,
    purpose: &str,
    id: Uuid,
) -> Result<Option<LinkRow>, sqlx::Error> {
    sqlx::query_as!(
        LinkRow,
        "
        select person.email, link.expires_at
        from mail_links link
        join users person on person.id = link.user_id
        where link.id = $1 and link.purpose = $2 and link.used_at is null and link.expires_at > engine_now()
        ",
        id,
        purpose
    )
    .fetch_optional(conn)
    .await
}

/// A change of address that can still be confirmed.
pub(super) struct AddressChangeRow {
    pub(super) old: String,
    pub(super) new: String,
    pub(super) expires_at: DateTime<Utc>,
}

/// Returns a change of address that has not expired.
pub(super) async fn get_open_address_change(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<AddressChangeRow>, sqlx::Error> {
    sqlx::query_as!(
        AddressChangeRow,
        r#"
        select person.email as "old!", change.email as "new!", change.expires_at
        from address_changes change
        join users person on person.id = change.user_id
        where change.id = $1 and change.expires_at > engine_now()
        "#,
        id
    )
    .fetch_optional(conn)
    .await
}

/// Returns a person's address.
pub(super) async fn get_email(conn: &mut PgConnection, id: UserId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("select email from users where id = $1", id.0).fetch_optional(conn).await
}

/// An invitation that can still be accepted.
pub(super) struct InvitationRow {
    pub(super) email: String,
    pub(super) role: String,
    pub(super) tenant: String,
    /// The name of the inviting person; empty if unknown.
    pub(super) inviter: String,
    pub(super) expires_at: DateTime<Utc>,
}

/// Returns an invitation that was not accepted or revoked and has not expired.
pub(super) async fn get_open_invitation(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
) -> Result<Option<InvitationRow>, sqlx::Error> {
    sqlx::query_as!(
        InvitationRow,
        r#"
        select invitation.email, invitation.role, tenant.name as tenant, invitation.expires_at,
          coalesce(trim(inviter.first_name || ' ' || inviter.last_name), '') as "inviter!"
        from invitations invitation
        join tenants tenant on tenant.id = invitation.tenant_id
        left join users inviter on inviter.id = invitation.invited_by
        where invitation.tenant_id = $1 and invitation.id = $2
          and invitation.accepted_at is null and invitation.revoked_at is null
          and invitation.expires_at > engine_now()
        "#,
        tenant_id.0,
        id
    )
    .fetch_optional(conn)
    .await
}

/// An account that needs its user again.
pub(super) struct AccountRow {
    pub(super) tenant: String,
    pub(super) name: String,
    pub(super) platform: String,
    pub(super) reason: String,
}

/// Returns an account if it still needs its user again.
pub(super) async fn get_account_in_need(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: AccountId,
) -> Result<Option<AccountRow>, sqlx::Error> {
    sqlx::query_as!(
        AccountRow,
        r#"
        select tenant.name as tenant, account.name, account.platform,
          coalesce(account.status_reason, '') as "reason!"
        from social_accounts account
        join tenants tenant on tenant.id = account.tenant_id
        where account.tenant_id = $1 and account.id = $2 and account.status = 'needs_reauth'
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// A key that its service refuses.
pub(super) struct KeyRow {
    pub(super) tenant: String,
    pub(super) service: Service,
    pub(super) reason: String,
}

/// Returns a key if it is still refused.
pub(super) async fn get_refused_key(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: Uuid,
) -> Result<Option<KeyRow>, sqlx::Error> {
    sqlx::query_as!(
        KeyRow,
        r#"
        select tenant.name as tenant, key.service as "service: Service", coalesce(key.refusal, '') as "reason!"
        from service_keys key
        join tenants tenant on tenant.id = key.tenant_id
        where key.tenant_id = $1 and key.id = $2 and key.refused_at is not null
        "#,
        tenant_id.0,
        id
    )
    .fetch_optional(conn)
    .await
}

/// A connection that ends soon.
pub(super) struct EndingRow {
    pub(super) tenant: String,
    /// The names of its accounts.
    pub(super) accounts: String,
    pub(super) platform: String,
    pub(super) deadline: DateTime<Utc>,
}

/// Returns a connection if it still ends soon.
pub(super) async fn get_ending_connection(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: TokenId,
) -> Result<Option<EndingRow>, sqlx::Error> {
    sqlx::query_as!(
        EndingRow,
        r#"
        select tenant.name as tenant, soon.provider as "platform!", soon.deadline as "deadline!",
          (
            select string_agg(name, ', ' order by name)
            from tenant_active_connections
            where tenant_id = $1 and user_token_id = $2
          ) as "accounts!"
        from tokens_expiring_soon soon
        join tenants tenant on tenant.id = soon.tenant_id
        where soon.tenant_id = $1 and soon.id = $2 and soon.deadline is not null
          and exists (select from tenant_active_connections where tenant_id = $1 and user_token_id = $2)
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// A delivery that somebody is told about.
pub(super) struct DeliveryRow {
    pub(super) tenant: String,
    pub(super) account: String,
    pub(super) caption: String,
    pub(super) scheduled_at: DateTime<Utc>,
    pub(super) reason: String,
}

/// Returns a delivery if it is still in this state.
pub(super) async fn get_delivery(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    state: DeliveryState,
) -> Result<Option<DeliveryRow>, sqlx::Error> {
    sqlx::query_as!(
        DeliveryRow,
        r#"
        select tenant.name as tenant, account.name as account, coalesce(left(post.caption, 1000), '') as "caption!",
          delivery.scheduled_at, coalesce(delivery.error, '') as "reason!"
        from post_history delivery
        join tenants tenant on tenant.id = delivery.tenant_id
        join posts post on post.tenant_id = delivery.tenant_id and post.id = delivery.post_id
        join social_accounts account on account.tenant_id = delivery.tenant_id and account.id = delivery.account_id
        where delivery.tenant_id = $1 and delivery.id = $2 and delivery.state = $3
        "#,
        tenant_id.0,
        id.0,
        state.name()
    )
    .fetch_optional(conn)
    .await
}

/// Returns a tenant's owners and admins with verified addresses, in the order of joining.
pub(super) async fn list_staff(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Vec<Recipient>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        r#"
        select member.user_id as "id: UserId"
        from tenant_users member
        join users person on person.id = member.user_id
        where member.tenant_id = $1 and member.role in ('owner', 'admin') and person.email_verified_at is not null
        order by member.created_at, member.user_id
        limit $2
        "#,
        tenant_id.0,
        MOST_STAFF
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(Recipient::User).collect())
}

/// Returns the address of a person who still is an owner or admin.
pub(super) async fn get_staff(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: UserId,
) -> Result<Option<Addressee>, sqlx::Error> {
    sqlx::query_as!(
        Addressee,
        r#"
        select person.email, trim(person.first_name || ' ' || person.last_name) as "name!"
        from tenant_users member
        join users person on person.id = member.user_id
        where member.tenant_id = $1 and member.user_id = $2
          and member.role in ('owner', 'admin') and person.email_verified_at is not null
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns the tenant's own address.
pub(super) async fn get_tenant(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Option<Addressee>, sqlx::Error> {
    sqlx::query_as!(
        Addressee,
        r#"
        select email as "email!", name
        from tenants
        where id = $1 and email is not null
        "#,
        tenant_id.0
    )
    .fetch_optional(conn)
    .await
}

/// Claims the right to alert the operators about this sort. Returns true if the last alert is an
/// hour old; the alert then counts as sent.
pub(super) async fn claim_alert(conn: &mut PgConnection, sort: &str) -> Result<bool, sqlx::Error> {
    let key = Sha256::digest(format!("alert:{sort}"));
    let claimed = sqlx::query!(
        "
        insert into throttles as existing (key_sha256, next_at)
        values ($1, engine_stamp() + interval '1 hour')
        on conflict (key_sha256) do update set next_at = excluded.next_at
        where existing.next_at <= engine_now()
        ",
        key.as_slice()
    )
    .execute(conn)
    .await?;
    Ok(claimed.rows_affected() == 1)
}
