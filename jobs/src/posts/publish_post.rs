//! Publishes one delivery: one post on one account.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::store::{self, Parcel};
use crate::{
    engine::{
        Answer, Cause, Deadline, Done, EffectSpec, Job, JobContext, JobError, Parked, Queue, Remote, Retry, SendError,
        Setback, Tx,
    },
    ids::{AccountId, DeliveryId, TenantId},
    mail::{self, Letter},
    oauth,
    providers::meta::PageApi,
};

/// How long the publishing call may take, upload included.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// How long Facebook may take to show in the feed what it published.
const FEED_LAG: Duration = Duration::from_mins(1);

/// Publish the delivery `delivery_id`.
///
/// Safe to repeat: the call to the network is an effect (key: the delivery), so a second attempt asks the network what became
/// of the first before it would ever send again.
#[derive(Debug, Serialize, Deserialize)]
pub struct PublishPost {
    /// The delivery.
    pub delivery_id: DeliveryId,
}

impl Job for PublishPost {
    const KIND: &'static str = "publish_post";
    const QUEUE: Queue = Queue::Posting;
    const RETRY: Retry = Retry::PATIENT;

    fn unique_key(&self) -> Option<String> {
        Some(self.delivery_id.to_string())
    }

    async fn account(&self, tenant_id: TenantId, tx: &mut Tx) -> Result<Option<AccountId>, sqlx::Error> {
        store::find_account(tx, tenant_id, self.delivery_id).await
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let Some(parcel) = claim(cx, self.delivery_id).await? else {
            return Ok(Done::nothing("deleted, or published already"));
        };
        let token = token(cx, &parcel)?;
        // Nothing but the call stands between `sent` and its first byte; what was sent before needs no picture any more.
        let picture = if parcel.was_sent { None } else { make_ready(cx, &parcel).await? };
        let page = cx.services().meta.page(parcel.account_id, &parcel.page_id, &token);
        let answer = cx
            .once(
                &effect(&parcel),
                |deadline| send(page, deadline, &parcel, picture.as_ref()),
                |since| read_back(page, since, &parcel),
            )
            .await?;
        record(cx, &parcel, answer).await
    }

    async fn on_setback(&self, tenant_id: TenantId, tx: &mut Tx, setback: &Setback) -> Result<(), sqlx::Error> {
        match setback {
            Setback::Reconciling(_) => Ok(()),
            Setback::Again(facts) => store::mark_waiting(tx, tenant_id, self.delivery_id, facts, None).await,
            Setback::Parked(facts) => {
                let words = Some(facts.message.as_str());
                store::mark_waiting(tx, tenant_id, self.delivery_id, facts, words).await?;
                if facts.class != "reauth" && facts.class != "permission" {
                    return Ok(());
                }
                let marked = store::mark_account_needs_reauth(tx, tenant_id, self.delivery_id, &facts.message).await?;
                let letters = marked.map(|account_id| Letter::AccountNeedsAttention { account_id });
                mail::enqueue_all(tx, tenant_id, letters).await
            }
            Setback::Discarded(facts) => {
                let is_news = store::mark_failed(tx, tenant_id, self.delivery_id, facts).await?;
                let letters = is_news.then_some(Letter::PostFailed { delivery_id: self.delivery_id });
                mail::enqueue_all(tx, tenant_id, letters).await
            }
            Setback::Cancelled => store::mark_cancelled(tx, tenant_id, self.delivery_id).await,
        }
    }
}

async fn claim(cx: &JobContext, id: DeliveryId) -> Result<Option<Parcel>, JobError> {
    let mut tx = cx.begin().await?;
    let parcel = store::claim(&mut tx, cx.tenant_id(), id, cx.job_id(), &effect_key(id)).await?;
    tx.commit().await?;
    Ok(parcel)
}

fn token(cx: &JobContext, parcel: &Parcel) -> Result<SecretString, JobError> {
    let place = oauth::store::token_place(cx.tenant_id(), parcel.token_id);
    Ok(cx.services().keyring.decrypt(place, &parcel.access_token)?)
}

/// Whether the account can be published to, and the picture that goes along.
async fn make_ready(cx: &JobContext, parcel: &Parcel) -> Result<Option<(Bytes, String)>, JobError> {
    if parcel.account_status == "needs_reauth" {
        let cause = Cause::plain("reauth", "The connection needs its user again: connect the Page again.");
        return Err(JobError::Park(Parked::Account(parcel.account_id), None, cause));
    }
    match (&parcel.asset_key, &parcel.content_type) {
        (Some(key), Some(content_type)) => {
            let bytes = cx.services().storage.get(key).await?;
            Ok(Some((bytes, content_type.clone())))
        }
        (Some(_) | None, _) => Ok(None),
    }
}

fn effect_key(id: DeliveryId) -> String {
    format!("delivery:{id}")
}

fn effect(parcel: &Parcel) -> EffectSpec {
    let mut digest = Sha256::new();
    digest.update(parcel.page_id.as_bytes());
    digest.update(parcel.caption.as_bytes());
    EffectSpec {
        key: effect_key(parcel.delivery_id),
        operation: "facebook.publish",
        account_id: parcel.account_id,
        request_digest: hex::encode(digest.finalize()),
        timeout: CALL_TIMEOUT,
        lag: FEED_LAG,
    }
}

async fn send(
    page: PageApi<'_>,
    deadline: Deadline,
    parcel: &Parcel,
    picture: Option<&(Bytes, String)>,
) -> Result<Remote, SendError> {
    Ok(match picture {
        Some((bytes, content_type)) => page.publish_photo(deadline, &parcel.caption, bytes, content_type).await?,
        None => page.publish_text(deadline, &parcel.caption).await?,
    })
}

/// What the Page shows since then with our text, oldest first.
async fn read_back(page: PageApi<'_>, since: DateTime<Utc>, parcel: &Parcel) -> Result<Vec<Remote>, JobError> {
    let posts = page.list_posts(since).await?;
    Ok(posts
        .into_iter()
        .filter(|post| post.message.trim() == parcel.caption.trim())
        .map(|post| Remote { id: post.id, permalink: post.permalink_url })
        .collect())
}

/// The delivery, its effect and the job, in one transaction.
async fn record(cx: &JobContext, parcel: &Parcel, answer: Answer) -> Result<Done, JobError> {
    let mut tx = cx.begin().await?;
    match answer {
        Answer::Happened(receipt, remote) => {
            store::mark_published(&mut tx, cx.tenant_id(), parcel.delivery_id, &remote).await?;
            tx.confirm(&receipt, &remote).await?;
            let read_back = receipt.was_read_back;
            tx.complete(json!({ "remote_id": remote.id, "permalink": remote.permalink, "read_back": read_back })).await
        }
        Answer::Unknown(receipt) => {
            let words = "Nobody can tell whether this post went out: look at the Page, then settle it.";
            let cause = Cause::plain("ambiguous", words);
            if store::mark_unknown(&mut tx, cx.tenant_id(), parcel.delivery_id, &cause.facts()).await? {
                let letter = Letter::PostUnknown { delivery_id: parcel.delivery_id };
                mail::enqueue(&mut tx, cx.tenant_id(), letter).await?;
            }
            tx.leave_unknown(&receipt, &cause).await
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_letters;
#[cfg(test)]
mod tests_of_resolving;
