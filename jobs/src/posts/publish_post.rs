//! Publishes one delivery: one post on one account.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    DeleteStagedPictures,
    matching::{Wanted, candidates, unproven},
    store::{self, ClaimedDelivery},
    text::{canonical, normalized},
};
use crate::{
    connections::{self, store::AccountStatus},
    engine::{
        Answer, Candidate, Cause, CauseClass, Deadline, Done, Doubt, EffectSpec, EnqueueError, Facts, Job, JobContext,
        JobError, Likeness, NewJob, NotCompleted, Parked, Queue, Receipt, Remote, Retry, SendError, Sent, Tx,
    },
    ids::{AccountId, DeliveryId, TenantId},
    mail::{self, Email},
    providers::{Provider, Publisher, RemoteAccount},
    queues,
    services::Services,
    tenants::settings::OnUnknown,
};

/// The time limit of the publishing call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The time, in minutes, for which a post that the feed does not show is looked for, unless the
/// tenant's settings differ.
const PATIENCE_MINUTES: u32 = 10;

/// Publishes the delivery `delivery_id`.
///
/// Safe to repeat: a picture is uploaded without being visible, and its id is stored first. The
/// call that publishes is an effect (key: the delivery). So a second attempt asks the network for
/// the outcome of the first before it sends again.
#[derive(Debug, Serialize, Deserialize)]
pub struct PublishPost {
    /// The delivery.
    pub delivery_id: DeliveryId,
}

impl Job for PublishPost {
    type Services = Services;

    const KIND: &'static str = "publish_post";
    const QUEUE: Queue = queues::POSTING;
    const RETRY: Retry = Retry::PATIENT;
    const KEEPS_TIME: bool = true;
    /// An upload, a call, and a look at its outcome.
    const TIMEOUT: Duration = Duration::from_secs(90);
    const PERMISSION: Option<&'static str> = Some("posts:publish");

    fn unique_key(&self) -> Option<String> {
        Some(self.delivery_id.to_string())
    }

    async fn account(&self, tenant_id: TenantId, tx: &mut Tx) -> Result<Option<AccountId>, sqlx::Error> {
        store::find_account(tx, tenant_id, self.delivery_id).await
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let Some(delivery) = claim(cx, self.delivery_id).await? else {
            return Ok(Done::nothing("deleted, or published already"));
        };
        let provider = delivery.platform.known()?;
        let publisher = cx.services().providers.publisher(provider)?;
        let token = token(cx, &delivery).await?;
        let account = RemoteAccount { id: delivery.account_id, remote_id: &delivery.page_id, token: &token };
        let to = Destination { provider, publisher, account };
        let effect = effect(to, &delivery);
        // Everything else is done before this point, so that only the call follows the mark `sent`.
        // A post that was sent before needs no picture any more.
        let staged =
            if delivery.was_sent { delivery.staged.clone() } else { stage(cx, to, &effect, &delivery).await? };
        let answer = cx
            .once(
                &effect,
                |deadline| send(to, deadline, &delivery, &staged),
                |sent| read_back(cx, to, sent, &delivery, &staged),
            )
            .await?;
        record(cx, to, &delivery, answer).await
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        let id = self.delivery_id;
        match not_completed {
            NotCompleted::Reconciling(facts) => {
                store::mark_looked_for(tx, tenant_id, id, facts).await?;
                // A token that cannot open the Page for reading cannot publish either.
                if facts.class == CauseClass::Reauth { self.mark_account(tenant_id, tx, facts).await } else { Ok(()) }
            }
            NotCompleted::Again(facts) => store::mark_waiting(tx, tenant_id, id, facts, None).await,
            NotCompleted::Parked(facts) => {
                store::mark_waiting(tx, tenant_id, id, facts, Some(facts.message.as_str())).await?;
                if facts.class.is_for_the_user() { self.mark_account(tenant_id, tx, facts).await } else { Ok(()) }
            }
            NotCompleted::Discarded(facts) => {
                let is_news = store::mark_failed(tx, tenant_id, id, facts).await?;
                let emails = is_news.then_some(Email::PostFailed { delivery_id: id });
                mail::enqueue_all(tx, tenant_id, emails).await?;
                self.delete_staged(tenant_id, tx).await
            }
            NotCompleted::Cancelled => {
                store::mark_cancelled(tx, tenant_id, id).await?;
                self.delete_staged(tenant_id, tx).await
            }
            NotCompleted::BroughtBack => store::mark_brought_back(tx, tenant_id, id).await,
        }
    }
}

impl PublishPost {
    /// Marks the account as needing its user, and tells the tenant.
    async fn mark_account(&self, tenant_id: TenantId, tx: &mut Tx, facts: &Facts) -> Result<(), sqlx::Error> {
        let marked = store::mark_account_needs_reauth(tx, tenant_id, self.delivery_id, &facts.message).await?;
        let emails = marked.map(|account_id| Email::AccountNeedsAttention { account_id });
        mail::enqueue_all(tx, tenant_id, emails).await
    }

    /// Enqueues the deletion of pictures that were uploaded in vain.
    async fn delete_staged(&self, tenant_id: TenantId, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let delivery_id = self.delivery_id;
        let key = effect_key(delivery_id);
        let Some(account_id) = store::find_account_of_staged(tx, tenant_id, delivery_id, &key).await? else {
            return Ok(());
        };
        let job = NewJob::new(tenant_id, &DeleteStagedPictures { delivery_id }).on_account(account_id);
        match tx.enqueue(job).await {
            Ok(_) | Err(EnqueueError::Suspended { .. } | EnqueueError::ParentCancelled) => Ok(()),
            Err(EnqueueError::Database(error)) => Err(error),
        }
    }
}

/// The account that a delivery goes to, and the means to publish there.
#[derive(Debug, Clone, Copy)]
struct Destination<'a> {
    provider: Provider,
    publisher: &'a dyn Publisher,
    account: RemoteAccount<'a>,
}

async fn claim(cx: &JobContext, id: DeliveryId) -> Result<Option<ClaimedDelivery>, JobError> {
    let mut tx = cx.begin().await?;
    let delivery = store::claim(&mut tx, cx.tenant_id(), id, cx.job_id(), &effect_key(id)).await?;
    tx.commit().await?;
    Ok(delivery.map(|delivery| ClaimedDelivery { caption: normalized(&delivery.caption), ..delivery }))
}

/// Returns the account's token, refreshed if it would end before the post is out. The token of a
/// disconnected account is empty, and nothing is called with it.
async fn token(cx: &JobContext, delivery: &ClaimedDelivery) -> Result<SecretString, JobError> {
    if delivery.access_token.is_empty() {
        return Ok(SecretString::default());
    }
    if delivery.is_token_ending && delivery.account_status == AccountStatus::Active {
        return connections::usable_token(cx, delivery.token_id, Some(delivery.account_id)).await;
    }
    let place = connections::store::token_place(cx.tenant_id(), delivery.token_id);
    Ok(cx.services().keyring.decrypt(place, &delivery.access_token)?)
}

/// Returns the ids of the delivery's pictures at the network, uploaded there and not yet published.
///
/// They are stored before anything is sent. Later they distinguish this post from every other one
/// with the same text.
async fn stage(
    cx: &JobContext,
    to: Destination<'_>,
    effect: &EffectSpec,
    delivery: &ClaimedDelivery,
) -> Result<Vec<String>, JobError> {
    if delivery.account_status != AccountStatus::Active || delivery.access_token.is_empty() {
        return Err(waits_for_user(to.provider, delivery));
    }
    let (Some(key), Some(content_type)) = (&delivery.asset_key, &delivery.content_type) else {
        return Ok(Vec::new());
    };
    if delivery.is_staged_lately && !delivery.staged.is_empty() {
        return Ok(delivery.staged.clone());
    }
    let picture = cx.services().storage.get(key).await?;
    let staged = vec![to.publisher.stage(to.account, &picture, content_type).await?];
    cx.keep_media(effect, &staged).await?;
    Ok(staged)
}

/// Returns the error of a delivery whose account has to be connected first.
fn waits_for_user(provider: Provider, delivery: &ClaimedDelivery) -> JobError {
    let noun = provider.account_noun();
    let words = match delivery.account_status {
        AccountStatus::Disconnected => format!("The {noun} was disconnected: connect the {noun} again."),
        AccountStatus::NeedsReauth | AccountStatus::Active => delivery
            .account_status_reason
            .clone()
            .unwrap_or_else(|| format!("The connection needs its user again: connect the {noun} again.")),
    };
    JobError::Park(Parked::Account(delivery.account_id), None, Cause::plain(CauseClass::Reauth, words))
}

pub(super) fn effect_key(id: DeliveryId) -> String {
    format!("delivery:{id}")
}

fn effect(to: Destination<'_>, delivery: &ClaimedDelivery) -> EffectSpec {
    let mut digest = Sha256::new();
    digest.update(delivery.page_id.as_bytes());
    digest.update(canonical(&delivery.caption).as_bytes());
    let minutes = delivery.unknown_after_minutes.and_then(|minutes| u32::try_from(minutes).ok());
    EffectSpec {
        key: effect_key(delivery.delivery_id),
        operation: to.publisher.operation(),
        account_id: delivery.account_id,
        network: to.provider.name(),
        remote_account: delivery.page_id.clone(),
        request_digest: hex::encode(digest.finalize()),
        timeout: CALL_TIMEOUT,
        lag: to.publisher.lag(),
        patience: Duration::from_mins(minutes.unwrap_or(PATIENCE_MINUTES).into()),
    }
}

async fn send(
    to: Destination<'_>,
    deadline: Deadline,
    delivery: &ClaimedDelivery,
    staged: &[String],
) -> Result<Remote, SendError> {
    Ok(to.publisher.publish(to.account, deadline, &delivery.caption, staged).await?)
}

/// Returns the account's posts that may be ours, oldest first. If the provider's clock is behind
/// ours, older posts by its clock are requested too.
async fn read_back(
    cx: &JobContext,
    to: Destination<'_>,
    sent: Sent,
    delivery: &ClaimedDelivery,
    staged: &[String],
) -> Result<Vec<Candidate>, JobError> {
    if delivery.access_token.is_empty() {
        return Err(waits_for_user(to.provider, delivery));
    }
    let since = sent.window(None).from;
    let mut shown = to.publisher.list_posts(to.account, since).await?;
    let window = sent.window(shown.clock.as_ref());
    if window.from < since {
        shown = to.publisher.list_posts(to.account, window.from).await?;
    }
    let wanted = Wanted { caption: &delivery.caption, staged, has_picture: delivery.asset_key.is_some() };
    let found = candidates(shown.posts, &window, &wanted);
    let is_certain = found.iter().any(|candidate| candidate.likeness == Likeness::Certain);
    if let (false, Some(picture)) = (is_certain, staged.first())
        && let Some(id) = to.publisher.find_post_of(to.account, picture).await?
    {
        let remote = Remote { id, permalink: None };
        return Ok(vec![Candidate { remote, likeness: Likeness::Certain }]);
    }
    let found = without_doubt(cx, to, delivery, found).await?;
    Ok(if wanted.has_picture { unproven(found) } else { found })
}

/// Drops posts made by hand. If the account shows apps, a post without an app was made by hand.
///
/// If even our own known posts show no app, the account shows none at all, and the other evidence
/// counts.
async fn without_doubt(
    cx: &JobContext,
    to: Destination<'_>,
    delivery: &ClaimedDelivery,
    found: Vec<Candidate>,
) -> Result<Vec<Candidate>, JobError> {
    if found.iter().all(|candidate| candidate.likeness != Likeness::Doubtful) {
        return Ok(found);
    }
    let newest = to.publisher.list_newest(to.account).await?;
    if newest.iter().any(|(_, shows_app)| *shows_app) {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = newest.into_iter().map(|(id, _)| id).collect();
    let mut tx = cx.begin().await?;
    let hides_apps = store::is_any_published(&mut tx, cx.tenant_id(), delivery.account_id, &ids).await?;
    drop(tx);
    let likeness = if hides_apps { Likeness::Alike } else { Likeness::Doubtful };
    Ok(found.into_iter().map(|candidate| Candidate { likeness, ..candidate }).collect())
}

/// Records the delivery, its effect and the job in one transaction.
async fn record(
    cx: &JobContext,
    to: Destination<'_>,
    delivery: &ClaimedDelivery,
    answer: Answer,
) -> Result<Done, JobError> {
    let (receipt, mut remote) = match answer {
        Answer::Happened(receipt, remote) => (receipt, remote),
        Answer::Unknown(receipt, doubt) => return leave_unknown(cx, to, delivery, receipt, doubt).await,
    };
    if remote.permalink.is_none() {
        remote.permalink = Some(to.publisher.permalink(to.account, &remote.id).await);
    }
    let mut tx = cx.begin().await?;
    store::mark_published(&mut tx, cx.tenant_id(), delivery.delivery_id, &remote).await?;
    if !tx.confirm(&receipt, &remote).await? {
        drop(tx);
        return leave_unknown(cx, to, delivery, receipt.doubted(&remote), Doubt::Several).await;
    }
    let read_back = receipt.was_read_back;
    tx.complete(json!({ "remote_id": remote.id, "permalink": remote.permalink, "read_back": read_back })).await
}

/// Does what the tenant's settings say about a post whose outcome is unknown.
async fn leave_unknown(
    cx: &JobContext,
    to: Destination<'_>,
    delivery: &ClaimedDelivery,
    receipt: Receipt,
    doubt: Doubt,
) -> Result<Done, JobError> {
    let noun = to.provider.account_noun();
    let what = match doubt {
        Doubt::NotSeen => format!("The {noun} does not show this post, and nobody can tell whether it went out"),
        Doubt::NotRead => {
            format!("The {noun} could not be read for a day, and nobody can tell whether this post went out")
        }
        Doubt::Several => format!("Several posts on the {noun} may be this one, or one that may also be another's"),
    };
    match delivery.on_unknown.unwrap_or_default() {
        OnUnknown::Fail => {
            let words = format!("{what}. By your settings it counts as failed; it is not sent again by itself.");
            Err(cx.give_up(receipt, Cause::plain(CauseClass::Ambiguous, words)))
        }
        OnUnknown::Ask => {
            let cause = Cause::plain(CauseClass::Ambiguous, format!("{what}: look at the {noun}, then settle it."));
            let mut tx = cx.begin().await?;
            if store::mark_unknown(&mut tx, cx.tenant_id(), delivery.delivery_id, &cause.facts()).await? {
                let email = Email::PostUnknown { delivery_id: delivery.delivery_id };
                mail::enqueue(&mut tx, cx.tenant_id(), email).await?;
            }
            tx.leave_unknown(&receipt, &cause).await
        }
    }
}

#[cfg(test)]
mod tests;
