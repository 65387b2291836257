//! Deciding when posts go out, and where.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    PublishPost,
    store::{self, NewDelivery, PostRow},
};
use crate::{
    engine::{EnqueueError, Enqueued, NewJob, Priority, Tx},
    ids::{AccountId, AssetId, DeliveryId, PostId, TenantId},
    tenants::{
        plans::PlansConfig,
        usage::{self, UsageError},
    },
};

/// One post on one account at one time.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// What goes out.
    pub post_id: PostId,
    /// Where.
    pub account_id: AccountId,
    /// When; `None`: when the calendar planned it, or now if it did not.
    pub at: Option<DateTime<Utc>>,
    /// With another picture than it has.
    pub asset_id: Option<AssetId>,
}

/// Why nothing was scheduled.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// There are no such posts.
    #[error("no such posts: {0:?}")]
    MissingPosts(Vec<PostId>),
    /// A post has nothing to say yet.
    #[error("post {0} has neither a caption nor a picture yet")]
    Empty(PostId),
    /// The time is over.
    #[error("{0} is in the past")]
    Past(DateTime<Utc>),
    /// It is scheduled there already.
    #[error("post {0} is already scheduled on that account")]
    Taken(PostId),
    /// The tenant's plan allows no more, or there is no tenant.
    #[error("could not count the posts")]
    Usage(#[from] UsageError),
    /// The jobs could not be enqueued.
    #[error("could not enqueue")]
    Enqueue(#[from] EnqueueError),
    /// The database refused; by a foreign key where the tenant has no such account or picture.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Makes a post that goes out now on some accounts; answers it with the jobs that publish it.
///
/// # Errors
/// [`ScheduleError`], with nothing done once the transaction is dropped.
pub async fn create(
    tx: &mut Tx,
    plans: &PlansConfig,
    tenant_id: TenantId,
    caption: &str,
    asset_id: Option<AssetId>,
    accounts: &[AccountId],
) -> Result<(PostId, Vec<Enqueued>), ScheduleError> {
    let post_id = store::insert_post(tx, tenant_id, caption, asset_id).await?;
    let placements: Vec<Placement> =
        accounts.iter().map(|&account_id| Placement { post_id, account_id, at: None, asset_id: None }).collect();
    let jobs = schedule(tx, plans, tenant_id, &placements).await?;
    Ok((post_id, jobs))
}

/// Schedules posts that exist: all of them, or none.
///
/// # Errors
/// [`ScheduleError`], with nothing done once the transaction is dropped.
pub async fn schedule(
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
                // Somebody pressed "publish now".
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

/// The posts. Every one exists and has something to say.
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
