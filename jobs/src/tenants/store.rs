//! The SQL of tenants.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{plans::Plan, roles::Role};
use crate::ids::{TenantId, UserId};

/// A tenant.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct TenantRow {
    pub id: TenantId,
    pub name: String,
    pub email: Option<String>,
    pub plan: Plan,
    pub created_at: DateTime<Utc>,
}

/// Inserts a tenant. Needs the system scope.
pub async fn insert(conn: &mut PgConnection, name: &str, email: &str, plan: Plan) -> Result<TenantRow, sqlx::Error> {
    sqlx::query_as!(
        TenantRow,
        r#"
        insert into tenants (id, name, email, plan)
        values ($1, $2, $3, $4)
        returning id as "id: TenantId", name, email, plan as "plan: Plan", created_at
        "#,
        TenantId::new().0,
        name,
        email,
        plan.name()
    )
    .fetch_one(conn)
    .await
}

/// Returns one tenant, or `None` if it is being erased.
pub async fn get(conn: &mut PgConnection, id: TenantId) -> Result<Option<TenantRow>, sqlx::Error> {
    sqlx::query_as!(
        TenantRow,
        r#"
        select id as "id: TenantId", name, email, plan as "plan: Plan", created_at
        from tenants
        where id = $1 and erasing_at is null
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Returns one tenant, locked against concurrent changes. Inserting rows that reference it does not
/// wait.
pub async fn lock(conn: &mut PgConnection, id: TenantId) -> Result<Option<TenantRow>, sqlx::Error> {
    sqlx::query_as!(
        TenantRow,
        r#"
        select id as "id: TenantId", name, email, plan as "plan: Plan", created_at
        from tenants
        where id = $1 and erasing_at is null
        for no key update
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Changes a tenant's name, contact address and plan.
pub async fn update(conn: &mut PgConnection, tenant: &TenantRow) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update tenants
        set name = $2, email = $3, plan = $4
        where id = $1
        ",
        tenant.id.0,
        tenant.name,
        tenant.email,
        tenant.plan.name()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A tenant in a list.
#[derive(Debug, Clone)]
pub struct TenantSummary {
    /// The tenant.
    pub tenant: TenantRow,
    /// The role of the list's viewer in the tenant, if any.
    pub role: Option<Role>,
    /// The number of uploaded pictures.
    pub images: i64,
    /// The number of texts that AI wrote.
    pub ai_generations: i64,
    /// The number of posts, one for each account.
    pub posts: i64,
    /// The size of all its pictures.
    pub storage_bytes: i64,
}

/// The viewer of a list of tenants.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// The tenants that the viewer may see; `None` for all.
    pub tenants: Option<Vec<TenantId>>,
    /// The person whose roles are shown.
    pub user_id: Option<UserId>,
    /// A part of the name, an e-mail address or an id; `None` for all.
    pub text: Option<String>,
}

/// Returns tenants with their usage, newest first, without the system's tenant and those being
/// erased. Needs the system scope.
pub async fn list(
    conn: &mut PgConnection,
    viewer: &Viewer,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<TenantSummary>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    let visible: Option<Vec<Uuid>> = viewer.tenants.as_ref().map(|tenants| tenants.iter().map(|id| id.0).collect());
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(&mut *conn).await?;
    let rows = sqlx::query!(
        r#"
        select t.id as "id: TenantId", t.name, t.email, t.plan as "plan: Plan", t.created_at, m.role as "role?: Role",
          coalesce(u.images, 0) as "images!", coalesce(u.ai_generations, 0) as "ai_generations!",
          coalesce(u.posts, 0) as "posts!", coalesce(u.storage_bytes, 0) as "storage_bytes!"
        from tenants t
        left join tenant_usage u on u.tenant_id = t.id
        left join tenant_users m on m.tenant_id = t.id and m.user_id = $6
        where t.id <> $4 and t.erasing_at is null
          and ($5::uuid[] is null or t.id = any($5))
          and ($1::timestamptz is null or (t.created_at, t.id) < ($1, $2))
          and ($7::text is null or strpos(lower(t.name), $7) > 0 or lower(t.email) = $7 or t.id::text = $7)
        order by t.created_at desc, t.id desc
        limit $3
        "#,
        created_at,
        id,
        limit,
        TenantId::SYSTEM.0,
        visible as Option<Vec<Uuid>>,
        viewer.user_id.map(|id| id.0),
        viewer.text.as_ref().map(|text| text.to_lowercase())
    )
    .fetch_all(conn)
    .await?;
    let summaries = rows.into_iter().map(|row| TenantSummary {
        tenant: TenantRow { id: row.id, name: row.name, email: row.email, plan: row.plan, created_at: row.created_at },
        role: row.role,
        images: row.images,
        ai_generations: row.ai_generations,
        posts: row.posts,
        storage_bytes: row.storage_bytes,
    });
    Ok(summaries.collect())
}

/// Returns the names of tenants.
pub async fn names(conn: &mut PgConnection, ids: &[TenantId]) -> Result<BTreeMap<TenantId, String>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(r#"select id as "id: TenantId", name from tenants where id = any($1)"#, &ids)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}
