//! Schedules posts on accounts.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    PublishPost,
    store::{self, NewDelivery, PostRow},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Enqueued, NewJob, Priority, Tx},
    ids::{AccountId, AssetId, DeliveryId, PostId, TenantId},
    services::Services,
    tenants::{
        plans::PlansConfig,
        usage::{self, UsageError},
    },
};

/// A new post, to be published now.
#[derive(Debug, Clone)]
pub struct NewPost {
    /// The caption.
    pub caption: String,
    /// The picture, if it has one.
    pub asset_id: Option<AssetId>,
    /// The accounts on which it is published.
    pub accounts: Vec<AccountId>,
}

/// One post on one account at one time.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// The post.
    pub post_id: PostId,
    /// The account.
    pub account_id: AccountId,
    /// The time; `None` takes the calendar's planned time, or now if there is none.
    pub at: Option<DateTime<Utc>>,
    /// The picture to use instead of the post's own.
    pub asset_id: Option<AssetId>,
}

/// The reasons for which nothing was scheduled.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// These posts do not exist.
    #[error("these posts do not exist: {0:?}")]
    MissingPosts(Vec<PostId>),
    /// The post has no caption yet.
    #[error("post {0} has no caption yet")]
    Empty(PostId),
    /// The time is in the past.
    #[error("{0} is in the past")]
    Past(DateTime<Utc>),
    /// The post is scheduled on that account already.
    #[error("post {0} is already scheduled on that account")]
    Taken(PostId),
    /// One of the accounts is disconnected.
    #[error("an account is disconnected")]
    Disconnected,
    /// The limit of the tenant's plan is reached, or the tenant does not exist.
    #[error("could not count the posts")]
    Usage(#[from] UsageError),
    /// The jobs could not be enqueued.
    #[error("could not enqueue the jobs")]
    Enqueue(#[from] EnqueueError),
    /// The database refused. A violated foreign key means that the tenant has no such account or
    /// picture.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Makes a post that is published now on some accounts. Returns it with the jobs that publish it.
///
/// # Errors
/// Returns [`ScheduleError`]; the caller drops the transaction.
pub async fn create(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    new: &NewPost,
) -> Result<(PostId, Vec<Enqueued>), ScheduleError> {
    let post_id = store::insert_post(tx, tenant_id, &new.caption, new.asset_id).await?;
    let placement = |&account_id| Placement { post_id, account_id, at: None, asset_id: None };
    let placements: Vec<Placement> = new.accounts.iter().map(placement).collect();
    let jobs = place(tx, &services.plans, tenant_id, &placements).await?;
    let details = json!({ "accounts": new.accounts, "asset_id": new.asset_id });
    let entry = Entry::new(tenant_id, "post.create", "post", post_id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok((post_id, jobs))
}

/// Schedules existing posts: all of them, or none.
///
/// # Errors
/// Returns [`ScheduleError`]; the caller drops the transaction.
pub async fn schedule(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    (account_id, placements): (AccountId, &[Placement]),
) -> Result<Vec<Enqueued>, ScheduleError> {
    let jobs = place(tx, &services.plans, tenant_id, placements).await?;
    let times: Vec<_> = placements.iter().map(|placement| (placement.post_id, placement.at)).collect();
    let entry = Entry::new(tenant_id, "posts.schedule", "account", account_id, json!({ "posts": times }));
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(jobs)
}

async fn place(
    tx: &mut Tx,
    plans: &PlansConfig,
    tenant_id: TenantId,
    placements: &[Placement],
) -> Result<Vec<Enqueued>, ScheduleError> {
    let pictures: BTreeMap<PostId, AssetId> =
        placements.iter().filter_map(|placement| placement.asset_id.map(|id| (placement.post_id, id))).collect();
    store::attach_assets(tx, tenant_id, &pictures.into_iter().collect::<Vec<_>>()).await?;
    let planned = written(tx, tenant_id, placements).await?;
    let deliveries: Vec<NewDelivery> = placements
        .iter()
        .map(|placement| NewDelivery {
            id: DeliveryId::new(),
            post_id: placement.post_id,
            account_id: placement.account_id,
            scheduled_at: placement.at.or_else(|| planned.get(&placement.post_id)?.planned_at),
            asset_id: placement.asset_id.or_else(|| planned.get(&placement.post_id)?.asset_id),
        })
        .collect();
    let times: Vec<DateTime<Utc>> = deliveries.iter().filter_map(|delivery| delivery.scheduled_at).collect();
    if let Some(time) = store::find_past(tx, &times).await? {
        return Err(ScheduleError::Past(time));
    }
    if store::is_any_disconnected(tx, tenant_id, placements.iter().map(|placement| placement.account_id)).await? {
        return Err(ScheduleError::Disconnected);
    }
    let inserted: BTreeSet<DeliveryId> =
        store::insert_deliveries(tx, tenant_id, &deliveries).await?.into_iter().collect();
    if let Some(taken) = deliveries.iter().find(|delivery| !inserted.contains(&delivery.id)) {
        return Err(ScheduleError::Taken(taken.post_id));
    }
    let jobs = deliveries
        .iter()
        .map(|delivery| {
            let job = NewJob::new(tenant_id, &PublishPost { delivery_id: delivery.id }).on_account(delivery.account_id);
            match delivery.scheduled_at {
                Some(time) => job.at(time),
                // A person waits for the post.
                None => job.with_priority(Priority::Interactive),
            }
        })
        .collect();
    let enqueued = tx.enqueue_all(jobs).await?;
    let ids: Vec<Uuid> = enqueued.iter().map(|job| job.id.0).collect();
    store::mark_enqueued(tx, tenant_id, &ids).await?;
    usage::take_posts(tx, plans, tenant_id, deliveries.len()).await?;
    Ok(enqueued)
}

/// Returns the posts. Each one exists and has a caption.
async fn written(
    tx: &mut Tx,
    tenant_id: TenantId,
    placements: &[Placement],
) -> Result<BTreeMap<PostId, PostRow>, ScheduleError> {
    let ids: Vec<Uuid> = placements.iter().map(|placement| placement.post_id.0).collect();
    let posts = store::list_by_ids(tx, tenant_id, &ids).await?;
    let found: BTreeMap<PostId, PostRow> = posts.into_iter().map(|post| (post.id, post)).collect();
    let missing: Vec<PostId> =
        placements.iter().map(|placement| placement.post_id).filter(|id| !found.contains_key(id)).collect();
    if !missing.is_empty() {
        return Err(ScheduleError::MissingPosts(missing));
    }
    if let Some(post) = found.values().find(|post| post.caption.is_none()) {
        return Err(ScheduleError::Empty(post.id));
    }
    Ok(found)
}
