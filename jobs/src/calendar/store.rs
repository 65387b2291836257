//! The SQL of calendars and of the posts in them.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::{CalendarId, JobId, PostId, TenantId};

/// The state of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum CalendarState {
    /// Its posts are being planned.
    Planning,
    /// Their captions are being written.
    Writing,
    /// Every caption is written.
    Ready,
    /// It could not be planned, or captions are missing.
    Failed,
}

impl CalendarState {
    /// The name that is stored and that clients read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Writing => "writing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A calendar.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct CalendarRow {
    pub id: CalendarId,
    pub tenant_id: TenantId,
    pub month: NaiveDate,
    pub brief: String,
    pub post_count: i32,
    pub state: CalendarState,
    pub error: Option<String>,
    pub job_id: Option<JobId>,
    pub created_at: DateTime<Utc>,
}

/// A planned post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPost {
    /// The planned time of publication.
    pub planned_at: DateTime<Utc>,
    /// The topic.
    pub topic: String,
}

/// The brief from which a caption is written.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct CaptionBrief {
    pub business: String,
    pub brief: String,
    pub topic: String,
    pub caption: Option<String>,
}

/// Inserts a calendar that is to be planned.
pub async fn insert(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    month: NaiveDate,
    brief: &str,
    post_count: i32,
) -> Result<CalendarId, sqlx::Error> {
    let id = CalendarId::new();
    sqlx::query!(
        "
        insert into content_calendar (id, tenant_id, month, brief, post_count, state)
        values ($1, $2, $3, $4, $5, 'planning')
        ",
        id.0,
        tenant_id.0,
        month,
        brief,
        post_count
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Records the job that makes a calendar.
pub async fn mark_enqueued(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: CalendarId,
    job_id: JobId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update content_calendar set job_id = $3 where tenant_id = $1 and id = $2",
        tenant_id.0,
        id.0,
        job_id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns one calendar.
pub async fn get(conn: &mut PgConnection, id: CalendarId) -> Result<Option<CalendarRow>, sqlx::Error> {
    sqlx::query_as!(
        CalendarRow,
        r#"
        select id as "id: CalendarId", tenant_id as "tenant_id: TenantId", month, brief, post_count,
          state as "state: CalendarState", error, job_id as "job_id: JobId", created_at
        from content_calendar
        where id = $1
        "#,
        id.0
    )
    .fetch_optional(conn)
    .await
}

/// Turns a plan into posts without captions. Returns `None` if that was done before.
pub async fn mark_planned(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: CalendarId,
    plan: &[PlannedPost],
) -> Result<Option<Vec<PostId>>, sqlx::Error> {
    let marked = sqlx::query!(
        "
        update content_calendar
        set state = 'writing'
        where tenant_id = $1 and id = $2 and state = 'planning'
        ",
        tenant_id.0,
        id.0
    )
    .execute(&mut *conn)
    .await?;
    if marked.rows_affected() == 0 {
        return Ok(None);
    }
    let ids: Vec<Uuid> = plan.iter().map(|_| Uuid::now_v7()).collect();
    let topics: Vec<String> = plan.iter().map(|post| post.topic.clone()).collect();
    let times: Vec<DateTime<Utc>> = plan.iter().map(|post| post.planned_at).collect();
    sqlx::query!(
        "
        insert into posts (id, tenant_id, calendar_id, position, topic, planned_at)
        select id, $1, $2, position - 1, topic, planned_at
        from unnest($3::uuid[], $4::text[], $5::timestamptz[]) with ordinality
          as plan (id, topic, planned_at, position)
        ",
        tenant_id.0,
        id.0,
        &ids,
        &topics,
        &times
    )
    .execute(conn)
    .await?;
    Ok(Some(ids.into_iter().map(PostId).collect()))
}

/// Ends the writing: the calendar is `ready` if every caption exists, else `failed`. Returns the
/// number of missing captions.
pub async fn mark_written(conn: &mut PgConnection, tenant_id: TenantId, id: CalendarId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        with missing as (
          select count(*) as count
          from posts
          where tenant_id = $1 and calendar_id = $2 and caption is null
        )
        update content_calendar
        set state = case when missing.count = 0 then 'ready' else 'failed' end,
          error = case when missing.count > 0 then
            missing.count || ' captions could not be written: retry their write_caption jobs' end
        from missing
        where tenant_id = $1 and id = $2 and state in ('writing', 'failed')
        returning missing.count as "count!"
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(conn)
    .await
    .map(|missing| missing.unwrap_or(0))
}

/// Marks a calendar as failed, with a reason for people.
pub async fn mark_failed(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: CalendarId,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update content_calendar
        set state = 'failed', error = $3
        where tenant_id = $1 and id = $2 and state in ('planning', 'writing')
        ",
        tenant_id.0,
        id.0,
        error
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Resumes a failed calendar: `planning` if it has no posts, else `writing`.
pub async fn mark_planning(conn: &mut PgConnection, tenant_id: TenantId, id: CalendarId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update content_calendar
        set state = case when exists (select from posts where tenant_id = $1 and calendar_id = $2) then 'writing'
            else 'planning' end,
          error = null
        where tenant_id = $1 and id = $2 and state = 'failed'
        ",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns the brief for the caption of a post.
pub async fn get_caption_brief(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    post_id: PostId,
) -> Result<Option<CaptionBrief>, sqlx::Error> {
    sqlx::query_as!(
        CaptionBrief,
        r#"
        select tenant.name as business, calendar.brief, coalesce(post.topic, '') as "topic!", post.caption
        from posts post
        join content_calendar calendar on calendar.tenant_id = post.tenant_id and calendar.id = post.calendar_id
        join tenants tenant on tenant.id = post.tenant_id
        where post.tenant_id = $1 and post.id = $2
        "#,
        tenant_id.0,
        post_id.0
    )
    .fetch_optional(conn)
    .await
}

/// Stores a caption if the post has none.
pub async fn mark_captioned(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    post_id: PostId,
    caption: &str,
) -> Result<bool, sqlx::Error> {
    let marked = sqlx::query!(
        "
        update posts
        set caption = $3
        where tenant_id = $1 and id = $2 and caption is null
        ",
        tenant_id.0,
        post_id.0,
        caption
    )
    .execute(conn)
    .await?;
    Ok(marked.rows_affected() > 0)
}

/// Makes a calendar `ready` if it failed because of missing captions and now has them all.
pub async fn mark_ready_at_last(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    post_id: PostId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update content_calendar calendar
        set state = 'ready', error = null
        from posts post
        where post.tenant_id = $1 and post.id = $2
          and calendar.tenant_id = $1 and calendar.id = post.calendar_id and calendar.state = 'failed' and calendar.error <> 'cancelled'
          and not exists (
            select from posts other
            where other.tenant_id = $1 and other.calendar_id = calendar.id and other.caption is null
          )
        ",
        tenant_id.0,
        post_id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
