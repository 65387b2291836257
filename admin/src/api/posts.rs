//! Posts: writing, scheduling and listing them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jobs::{
    engine::{Enqueued, Scope, Tx},
    ids::{AccountId, AssetId, PostId, TenantId},
    posts::{
        self, NewPost, Placement,
        store::{self, DeliveryRow, PostRow},
    },
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::{
        Body,
        paging::{Listed, Page, Paging},
    },
    state::AppState,
};

/// A post to publish now.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, rename = "NewPost")]
pub(crate) struct PostBody {
    tenant_id: Uuid,
    /// The accounts to publish on.
    #[oai(validator(min_items = 1, max_items = 20, unique_items))]
    account_ids: Vec<Uuid>,
    #[oai(validator(min_length = 1, max_length = 2200))]
    caption: String,
    /// The picture to publish with the post.
    asset_id: Option<Uuid>,
}

impl PostBody {
    fn checked(self) -> Result<NewPost, ApiError> {
        if self.caption.trim().is_empty() {
            return Err(ApiError::unprocessable(ErrorCode::BadCaption, "caption is blank: write one."));
        }
        let accounts = self.account_ids.into_iter().map(AccountId).collect();
        Ok(NewPost { caption: self.caption, asset_id: self.asset_id.map(AssetId), accounts })
    }
}

/// A schedule of existing posts on an account.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewSchedule {
    tenant_id: Uuid,
    /// The account to publish on.
    account_id: Uuid,
    #[oai(validator(min_items = 1, max_items = 200))]
    posts: Vec<NewPlacement>,
}

/// A post to schedule.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewPlacement {
    post_id: Uuid,
    /// The time to publish; by default the time that its calendar planned, or now if there is none.
    /// A time more than five minutes in the past is refused.
    scheduled_at: Option<DateTime<Utc>>,
    /// A picture for this account in place of the post's own.
    asset_id: Option<Uuid>,
}

impl NewPlacement {
    fn on(&self, account_id: AccountId) -> Placement {
        Placement {
            post_id: PostId(self.post_id),
            account_id,
            at: self.scheduled_at,
            asset_id: self.asset_id.map(AssetId),
        }
    }
}

/// A post with its deliveries.
#[derive(Debug, Object)]
pub(crate) struct PostView {
    id: Uuid,
    tenant_id: Uuid,
    calendar_id: Option<Uuid>,
    topic: Option<String>,
    /// The text; absent until it is written.
    caption: Option<String>,
    asset_id: Option<Uuid>,
    /// The time that its calendar planned.
    planned_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    deliveries: Vec<DeliveryView>,
}

/// The delivery of a post to an account.
#[derive(Debug, Object)]
pub(crate) struct DeliveryView {
    id: Uuid,
    account_id: Uuid,
    /// The picture that is published with the post.
    asset_id: Option<Uuid>,
    /// `scheduled`, `submitting`, `published`, `failed`, `unknown` or `cancelled`.
    state: String,
    scheduled_at: DateTime<Utc>,
    job_id: Option<Uuid>,
    /// The reason for a wait, other than time.
    blocked_by: Option<String>,
    /// The network's id of the post.
    remote_id: Option<String>,
    permalink: Option<String>,
    published_at: Option<DateTime<Utc>>,
    error_class: Option<String>,
    /// The reason why it failed, is unknown, or is being looked for.
    error: Option<String>,
    /// The time since which it is being looked for at the network, because it may be published.
    looked_for_since: Option<DateTime<Utc>>,
    /// The time of the next look. Absent during a look, and while something other than time ends
    /// the wait.
    next_look_at: Option<DateTime<Utc>>,
}

/// Returns the words for a delivery that may be published. The result of the last look follows
/// them.
fn looked_for(since: DateTime<Utc>, next: Option<DateTime<Utc>>, error: Option<String>) -> String {
    let minute = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let next =
        next.map_or_else(|| "the next look is under way".to_owned(), |at| format!("next look at {}", minute(at)));
    let words = format!("It may be out: being looked for since {}, {next}.", minute(since));
    error.map_or(words.clone(), |error| format!("{words} {error}"))
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id.0,
            account_id: row.account_id.0,
            asset_id: row.asset_id.map(|id| id.0),
            state: row.state.name().to_owned(),
            scheduled_at: row.scheduled_at,
            job_id: row.job_id.map(|id| id.0),
            blocked_by: row.blocked_by,
            remote_id: row.remote_id,
            permalink: row.permalink,
            published_at: row.published_at,
            error_class: row.error_class,
            error: match row.looked_for_since {
                Some(since) => Some(looked_for(since, row.next_look_at, row.error)),
                None => row.error,
            },
            looked_for_since: row.looked_for_since,
            next_look_at: row.next_look_at,
        }
    }
}

impl Listed for PostView {
    const PAGE: &'static str = "PostPage";
    const DESCRIPTION: &'static str = "A page of posts.";
}

/// Scheduled posts, with the jobs that publish them.
#[derive(Debug, Object)]
pub(crate) struct ScheduledView {
    posts: Vec<PostView>,
    job_ids: Vec<Uuid>,
}

#[derive(ApiResponse)]
pub(crate) enum AcceptedPosts {
    /// Jobs publish the posts.
    #[oai(status = 202)]
    Accepted(
        Json<ScheduledView>,
        /// The first job's address.
        #[oai(header = "Location")]
        String,
    ),
}

/// Posts as clients see them, with their deliveries.
pub(crate) async fn with_deliveries(
    tx: &mut Tx,
    tenant_id: TenantId,
    posts: Vec<PostRow>,
) -> Result<Vec<PostView>, sqlx::Error> {
    let ids: Vec<Uuid> = posts.iter().map(|post| post.id.0).collect();
    let mut deliveries: BTreeMap<PostId, Vec<DeliveryView>> = BTreeMap::new();
    for delivery in store::list_deliveries(tx, tenant_id, &ids).await? {
        deliveries.entry(delivery.post_id).or_default().push(delivery.into());
    }
    let view = |post: PostRow| PostView {
        id: post.id.0,
        tenant_id: post.tenant_id.0,
        calendar_id: post.calendar_id.map(|id| id.0),
        topic: post.topic,
        caption: post.caption,
        asset_id: post.asset_id.map(|id| id.0),
        planned_at: post.planned_at,
        created_at: post.created_at,
        deliveries: deliveries.remove(&post.id).unwrap_or_default(),
    };
    Ok(posts.into_iter().map(view).collect())
}

pub(crate) struct PostsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Posts")]
impl PostsApi {
    /// Write a post and publish it now.
    #[oai(path = "/posts/create", method = "post", operation_id = "create_post")]
    async fn create(
        &self,
        #[oai(scope = "Needs::PostsPublish")] caller: Caller,
        body: Body<PostBody>,
    ) -> Result<Answered<AcceptedPosts>, ApiError> {
        let (tenant_id, new) = (caller.tenant(body.tenant_id)?, body.0.checked()?);
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        require_tenant(&mut tx, tenant_id).await?;
        let (post_id, jobs) = posts::create(&mut tx, &self.state.services, caller.actor(), tenant_id, &new).await?;
        let answer = accepted(&mut tx, tenant_id, &[post_id.0], &jobs).await?;
        tx.answer(answer).await
    }

    /// Schedule existing posts on an account: either all of them or none.
    #[oai(path = "/posts/schedule", method = "post", operation_id = "schedule_posts")]
    async fn schedule(
        &self,
        #[oai(scope = "Needs::PostsPublish")] caller: Caller,
        body: Body<NewSchedule>,
    ) -> Result<Answered<AcceptedPosts>, ApiError> {
        let (tenant_id, account_id) = (caller.tenant(body.tenant_id)?, AccountId(body.account_id));
        let placements: Vec<Placement> = body.posts.iter().map(|post| post.on(account_id)).collect();
        let mut tx = self.state.db.write(Scope::Tenant(tenant_id), &caller).await?;
        require_tenant(&mut tx, tenant_id).await?;
        let (services, placed) = (&self.state.services, (account_id, placements.as_slice()));
        let jobs = posts::schedule(&mut tx, services, caller.actor(), tenant_id, placed).await?;
        let ids: Vec<Uuid> = body.posts.iter().map(|post| post.post_id).collect();
        let answer = accepted(&mut tx, tenant_id, &ids, &jobs).await?;
        tx.answer(answer).await
    }

    /// List the posts of a tenant, newest first.
    #[oai(path = "/tenants/:id/posts", method = "get", operation_id = "list_posts")]
    async fn list(
        &self,
        #[oai(scope = "Needs::PostsRead")] caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<PostView>>, ApiError> {
        let paging = Paging::read(&after, &limit)?;
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let mut posts = store::list_posts(&mut tx, id, paging.after, paging.rows()).await?;
        let next = paging.next(&mut posts, |post| (post.created_at, post.id.0));
        let items = with_deliveries(&mut tx, id, posts).await?;
        Ok(Json(Page { items, next }))
    }
}

async fn accepted(
    tx: &mut Tx,
    tenant_id: TenantId,
    ids: &[Uuid],
    jobs: &[Enqueued],
) -> Result<AcceptedPosts, sqlx::Error> {
    let posts = store::list_by_ids(tx, tenant_id, ids).await?;
    let posts = with_deliveries(tx, tenant_id, posts).await?;
    let job_ids: Vec<Uuid> = jobs.iter().map(|job| job.id.0).collect();
    let location = format!("/api/v1/jobs/{}", job_ids.first().copied().unwrap_or_default());
    Ok(AcceptedPosts::Accepted(Json(ScheduledView { posts, job_ids }), location))
}
