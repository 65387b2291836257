//! The SQL of the search box.
//!
//! An id is looked up. Words are looked for in a tenant's newest rows, so that a search costs no
//! more for a tenant with many.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Hit, HitType};
use crate::ids::TenantId;

/// The most rows of a table in which words are looked for.
const LOOKED_AT: i64 = 20_000;

/// The text to look for.
#[derive(Debug, Clone)]
pub struct Query {
    /// The tenant; words are looked for only if there is one.
    pub tenant_id: Option<TenantId>,
    /// The id, if the text is one.
    pub id: Option<Uuid>,
    /// The text in lower case.
    pub text: String,
    /// The most rows to return.
    pub limit: i64,
}

/// Finds posts by their id, a delivery's id, or words of the caption or topic.
pub async fn find_posts(conn: &mut PgConnection, query: &Query) -> Result<Vec<Hit>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with found as (
          select id from posts where id = $1
          union
          select post_id from post_history where id = $1
          union
          (
            select id
            from (
              select id, created_at, caption, topic
              from posts
              where $1::uuid is null and tenant_id = $2
              order by created_at desc, id desc
              limit $4
            ) newest
            where strpos(lower(coalesce(caption, '') || ' ' || coalesce(topic, '')), $3) > 0
            order by created_at desc, id desc
            limit $5
          )
        )
        select p.id, p.tenant_id as "tenant_id: TenantId", left(coalesce(p.caption, p.topic, ''), 120) as "title!", p.created_at
        from found
        join posts p using (id)
        where $2::uuid is null or p.tenant_id = $2
        order by p.created_at desc, p.id desc
        limit $5
        "#,
        query.id,
        query.tenant_id.map(|id| id.0),
        query.text,
        LOOKED_AT,
        query.limit
    )
    .fetch_all(conn)
    .await?;
    let hits = rows.into_iter().map(|row| Hit {
        hit_type: HitType::Post,
        id: row.id,
        tenant_id: row.tenant_id,
        title: row.title,
        state: None,
        created_at: row.created_at,
    });
    Ok(hits.collect())
}

/// Finds pictures by their id, or words of the name or tags.
pub async fn find_pictures(conn: &mut PgConnection, query: &Query) -> Result<Vec<Hit>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with found as (
          select id from brand_assets where id = $1
          union
          (
            select id
            from (
              select id, name, tags
              from brand_assets
              where $1::uuid is null and tenant_id = $2
              order by id desc
              limit $4
            ) newest
            where strpos(lower(name || ' ' || array_to_string(tags, ' ')), $3) > 0
            order by id desc
            limit $5
          )
        )
        select a.id, a.tenant_id as "tenant_id: TenantId", a.name, a.created_at
        from found
        join brand_assets a using (id)
        where $2::uuid is null or a.tenant_id = $2
        order by a.created_at desc, a.id desc
        limit $5
        "#,
        query.id,
        query.tenant_id.map(|id| id.0),
        query.text,
        LOOKED_AT,
        query.limit
    )
    .fetch_all(conn)
    .await?;
    let hits = rows.into_iter().map(|row| Hit {
        hit_type: HitType::Picture,
        id: row.id,
        tenant_id: row.tenant_id,
        title: row.name,
        state: None,
        created_at: row.created_at,
    });
    Ok(hits.collect())
}

/// Finds connected accounts by their id, or words of the name or the provider's id.
pub async fn find_accounts(conn: &mut PgConnection, query: &Query) -> Result<Vec<Hit>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with found as (
          select id from social_accounts where id = $1
          union
          (
            select id
            from (
              select id, name, remote_id
              from social_accounts
              where $1::uuid is null and tenant_id = $2
              order by id desc
              limit $4
            ) newest
            where strpos(lower(name), $3) > 0 or remote_id = $3
            order by id desc
            limit $5
          )
        )
        select a.id, a.tenant_id as "tenant_id: TenantId", a.name, a.status, a.created_at
        from found
        join social_accounts a using (id)
        where $2::uuid is null or a.tenant_id = $2
        order by a.created_at desc, a.id desc
        limit $5
        "#,
        query.id,
        query.tenant_id.map(|id| id.0),
        query.text,
        LOOKED_AT,
        query.limit
    )
    .fetch_all(conn)
    .await?;
    let hits = rows.into_iter().map(|row| Hit {
        hit_type: HitType::Account,
        id: row.id,
        tenant_id: row.tenant_id,
        title: row.name,
        state: Some(row.status),
        created_at: row.created_at,
    });
    Ok(hits.collect())
}
