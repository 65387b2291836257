//! The members of a tenant.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::roles::Role;
use crate::{
    engine::Tx,
    ids::{TenantId, UserId},
    people::Address,
};

/// A member of a tenant.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct MemberRow {
    pub user_id: UserId,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub picture_url: Option<String>,
    pub role: Role,
    pub created_at: DateTime<Utc>,
}

/// The reasons for which a membership is not changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The tenant has no member with that id.
    #[error("the tenant has no such member")]
    Missing,
    /// The tenant would have no owner left.
    #[error("a tenant needs at least one owner")]
    LastOwner,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Adds a person to a tenant. Returns true if the person was no member before.
pub async fn insert(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    user_id: UserId,
    role: Role,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "
        insert into tenant_users (tenant_id, user_id, role)
        values ($1, $2, $3)
        on conflict (tenant_id, user_id) do nothing
        ",
        tenant_id.0,
        user_id.0,
        role.name()
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Returns the number of tenants that a person owns. Concurrent calls for the same person wait
/// until this transaction ends. Needs the system scope.
pub async fn lock_and_count_owned(conn: &mut PgConnection, user_id: UserId) -> Result<i64, sqlx::Error> {
    sqlx::query!("select id from users where id = $1 for no key update", user_id.0).fetch_optional(&mut *conn).await?;
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from tenant_users where user_id = $1 and role = 'owner'"#,
        user_id.0
    )
    .fetch_one(conn)
    .await
}

/// Returns a tenant's members, in the order of joining.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<MemberRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        MemberRow,
        r#"
        select u.id as "user_id: UserId", u.email, u.first_name, u.last_name, u.picture_url, m.role as "role: Role",
          m.created_at
        from tenant_users m
        join users u on u.id = m.user_id
        where m.tenant_id = $1 and ($2::timestamptz is null or (m.created_at, m.user_id) > ($2, $3))
        order by m.created_at, m.user_id
        limit $4
        "#,
        tenant_id.0,
        created_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Returns a person's role in a tenant.
pub async fn get_role(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    user_id: UserId,
) -> Result<Option<Role>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select role as "role: Role" from tenant_users where tenant_id = $1 and user_id = $2"#,
        tenant_id.0,
        user_id.0
    )
    .fetch_optional(conn)
    .await
}

/// Changes a member's role, and returns the former one.
///
/// # Errors
/// Returns [`MemberError`]; the last owner keeps the role.
pub async fn set_role(tx: &mut Tx, tenant_id: TenantId, user_id: UserId, role: Role) -> Result<Role, MemberError> {
    let before = leave_an_owner(tx, tenant_id, user_id, Some(role)).await?;
    sqlx::query!(
        "update tenant_users set role = $3 where tenant_id = $1 and user_id = $2",
        tenant_id.0,
        user_id.0,
        role.name()
    )
    .execute(&mut **tx)
    .await?;
    Ok(before)
}

/// Removes a member, withdraws the invitations they sent, and returns their former role.
///
/// # Errors
/// Returns [`MemberError`]; the last owner stays.
pub async fn delete(tx: &mut Tx, tenant_id: TenantId, user_id: UserId) -> Result<Role, MemberError> {
    let before = leave_an_owner(tx, tenant_id, user_id, None).await?;
    sqlx::query!(
        "
        update invitations
        set revoked_at = engine_stamp()
        where tenant_id = $1 and invited_by = $2 and accepted_at is null and revoked_at is null
        ",
        tenant_id.0,
        user_id.0
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("delete from tenant_users where tenant_id = $1 and user_id = $2", tenant_id.0, user_id.0)
        .execute(&mut **tx)
        .await?;
    Ok(before)
}

/// Locks the tenant's owners, so that one stays if two leave at once.
async fn leave_an_owner(
    tx: &mut Tx,
    tenant_id: TenantId,
    user_id: UserId,
    becomes: Option<Role>,
) -> Result<Role, MemberError> {
    let owners: Vec<UserId> = sqlx::query_scalar!(
        r#"
        select user_id as "user_id: UserId"
        from tenant_users
        where tenant_id = $1 and role = 'owner'
        order by user_id
        for update
        "#,
        tenant_id.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let before = get_role(tx, tenant_id, user_id).await?.ok_or(MemberError::Missing)?;
    if becomes != Some(Role::Owner) && owners == [user_id] {
        return Err(MemberError::LastOwner);
    }
    Ok(before)
}

/// Locks the owners of all tenants that a person owns, so that one stays if several leave at once.
/// Needs the system scope.
pub async fn lock_owners_beside(conn: &mut PgConnection, user_id: UserId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        select user_id
        from tenant_users
        where role = 'owner'
          and tenant_id in (select tenant_id from tenant_users where user_id = $1 and role = 'owner')
        order by tenant_id, user_id
        for update
        ",
        user_id.0
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Returns the tenants whose only owner is this person, with the number of other members. Needs the
/// system scope.
pub async fn list_owned_alone(conn: &mut PgConnection, user_id: UserId) -> Result<Vec<(TenantId, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select m.tenant_id as "tenant_id: TenantId",
          (select count(*) from tenant_users o where o.tenant_id = m.tenant_id and o.user_id <> $1) as "others!"
        from tenant_users m
        where m.user_id = $1 and m.role = 'owner'
          and not exists (
            select from tenant_users o
            where o.tenant_id = m.tenant_id and o.role = 'owner' and o.user_id <> $1
          )
        order by m.tenant_id
        "#,
        user_id.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.others)).collect())
}

/// A tenant that a person is a member of.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migrations that make the tables")]
pub struct MembershipRow {
    pub tenant_id: TenantId,
    pub name: String,
    pub role: Role,
}

/// Returns the tenants of a person, in the order of joining. Needs the system scope.
pub async fn list_of_user(conn: &mut PgConnection, user_id: UserId) -> Result<Vec<MembershipRow>, sqlx::Error> {
    sqlx::query_as!(
        MembershipRow,
        r#"
        select t.id as "tenant_id: TenantId", t.name, m.role as "role: Role"
        from tenant_users m
        join tenants t on t.id = m.tenant_id
        where m.user_id = $1
        order by m.created_at, m.tenant_id
        "#,
        user_id.0
    )
    .fetch_all(conn)
    .await
}

/// Returns one member of a tenant.
pub async fn get(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    user_id: UserId,
) -> Result<Option<MemberRow>, sqlx::Error> {
    sqlx::query_as!(
        MemberRow,
        r#"
        select u.id as "user_id: UserId", u.email, u.first_name, u.last_name, u.picture_url, m.role as "role: Role",
          m.created_at
        from tenant_users m
        join users u on u.id = m.user_id
        where m.tenant_id = $1 and m.user_id = $2
        "#,
        tenant_id.0,
        user_id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns true if a member of the tenant has that address.
pub async fn is_member(conn: &mut PgConnection, tenant_id: TenantId, email: &Address) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select exists (
          select from tenant_users m join users u on u.id = m.user_id where m.tenant_id = $1 and u.email_canonical = $2
        ) as "is_member!"
        "#,
        tenant_id.0,
        email.canonical()
    )
    .fetch_one(conn)
    .await
}
