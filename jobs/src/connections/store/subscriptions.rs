//! The subscriptions of our app to the events of accounts.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    ids::{AccountId, TenantId, TokenId},
    providers::StoredProvider,
};

/// An account to whose events our app can be subscribed.
#[derive(Debug)]
pub struct Subscribable {
    /// The provider's id of it.
    pub remote_id: String,
    /// The provider whose token opens it.
    pub provider: StoredProvider,
    /// That token.
    pub token_id: TokenId,
    /// The permissions that its person granted.
    pub scopes: Vec<String>,
}

/// Returns an account with the token that opens it. `None` if there is none, or if it is reached
/// through an account of another network, which has the subscription.
pub async fn get_subscribable(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: AccountId,
) -> Result<Option<Subscribable>, sqlx::Error> {
    sqlx::query_as!(
        Subscribable,
        r#"
        select account.remote_id, token.provider as "provider: StoredProvider", token.id as "token_id: TokenId",
          person.scopes
        from social_accounts account
        join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.token_id
        join oauth_tokens person on person.tenant_id = account.tenant_id and person.id = account.user_token_id
        where account.tenant_id = $1 and account.id = $2 and account.platform = token.provider
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns those of a tenant's accounts to whose events our app is not subscribed.
pub async fn list_unsubscribed(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    accounts: &[AccountId],
) -> Result<Vec<AccountId>, sqlx::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"
        select account.id as "id: AccountId"
        from social_accounts account
        join oauth_tokens token on token.tenant_id = account.tenant_id and token.id = account.token_id
        where account.tenant_id = $1 and account.id = any($2) and account.subscribed_at is null
          and account.platform = token.provider
        "#,
        tenant_id.0,
        &ids
    )
    .fetch_all(conn)
    .await
}

/// Notes that our app is subscribed to the events of an account.
pub async fn mark_subscribed(conn: &mut PgConnection, tenant_id: TenantId, id: AccountId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update social_accounts set subscribed_at = engine_stamp(), subscribe_error = null where tenant_id = $1 and id = $2
        ",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes why our app is not subscribed to the events of an account.
pub async fn mark_not_subscribed(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: AccountId,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update social_accounts set subscribed_at = null, subscribe_error = $3 where tenant_id = $1 and id = $2",
        tenant_id.0,
        id.0,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}
