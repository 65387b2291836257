//! Posts: the content.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::{AssetId, CalendarId, PostId, TenantId};

/// A post.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct PostRow {
    pub id: PostId,
    pub tenant_id: TenantId,
    pub calendar_id: Option<CalendarId>,
    pub topic: Option<String>,
    pub caption: Option<String>,
    pub asset_id: Option<AssetId>,
    pub planned_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Returns the earliest time that is more than five minutes in the past. A time that has just
/// passed means now.
pub async fn find_past(conn: &mut PgConnection, times: &[DateTime<Utc>]) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select min(at)
        from unnest($1::timestamptz[]) as asked (at)
        where at < engine_now() - interval '5 minutes'
        "#,
        times
    )
    .fetch_one(conn)
    .await
}

/// Inserts a post that somebody wrote.
///
/// # Errors
/// Returns a violated foreign key if the picture is not the tenant's.
pub async fn insert_post(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    caption: &str,
    asset_id: Option<AssetId>,
) -> Result<PostId, sqlx::Error> {
    let id = PostId::new();
    sqlx::query!(
        "insert into posts (id, tenant_id, caption, asset_id) values ($1, $2, $3, $4)",
        id.0,
        tenant_id.0,
        caption,
        asset_id.map(|id| id.0)
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Sets the pictures of posts.
///
/// # Errors
/// Returns a violated foreign key if a picture is not the tenant's.
pub async fn attach_assets(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    pictures: &[(PostId, AssetId)],
) -> Result<(), sqlx::Error> {
    let (posts, assets): (Vec<Uuid>, Vec<Uuid>) = pictures.iter().map(|(post, asset)| (post.0, asset.0)).unzip();
    sqlx::query!(
        "
        update posts
        set asset_id = picture.asset_id
        from unnest($2::uuid[], $3::uuid[]) as picture (post_id, asset_id)
        where posts.tenant_id = $1 and posts.id = picture.post_id
        ",
        tenant_id.0,
        &posts,
        &assets
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns those of the posts that exist.
pub async fn list_by_ids(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    ids: &[Uuid],
) -> Result<Vec<PostRow>, sqlx::Error> {
    sqlx::query_as!(
        PostRow,
        r#"
        select id as "id: PostId", tenant_id as "tenant_id: TenantId", calendar_id as "calendar_id: CalendarId", topic,
          caption, asset_id as "asset_id: AssetId", planned_at, created_at
        from posts
        where tenant_id = $1 and id = any($2)
        "#,
        tenant_id.0,
        ids
    )
    .fetch_all(conn)
    .await
}

/// Returns the posts of a calendar, in its order.
pub async fn list_by_calendar(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    calendar_id: CalendarId,
) -> Result<Vec<PostRow>, sqlx::Error> {
    sqlx::query_as!(
        PostRow,
        r#"
        select id as "id: PostId", tenant_id as "tenant_id: TenantId", calendar_id as "calendar_id: CalendarId", topic,
          caption, asset_id as "asset_id: AssetId", planned_at, created_at
        from posts
        where tenant_id = $1 and calendar_id = $2
        order by position
        "#,
        tenant_id.0,
        calendar_id.0
    )
    .fetch_all(conn)
    .await
}

/// Returns the posts of a tenant, newest first, older than `after`.
pub async fn list_posts(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<PostRow>, sqlx::Error> {
    let (created_at, id) = after.unzip();
    sqlx::query_as!(
        PostRow,
        r#"
        select id as "id: PostId", tenant_id as "tenant_id: TenantId", calendar_id as "calendar_id: CalendarId", topic,
          caption, asset_id as "asset_id: AssetId", planned_at, created_at
        from posts
        where tenant_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
        order by created_at desc, id desc
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
