//! Ends what is left of a disconnected account: its waiting work, and the permission at its
//! provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Waiting,
    store::{self, RevocationRow},
};
use crate::{
    audit::Actor,
    engine::{
        Cause, CauseClass, Done, Job, JobContext, JobError, JobState, NotCompleted, Priority, Queue, Retry, Tx,
        ledger::{self, Action, JobFilter},
    },
    ids::{AccountId, TenantId},
    kinds::KINDS,
    operations::{Order, Tally, act_on_selection},
    providers::{Class, Provider},
    queues,
    services::Services,
};

/// The number of waiting jobs that one transaction cancels.
const JOBS_AT_ONCE: i64 = 500;

/// Ends the waiting work of the account `account_id`, which [`super::disconnect`] has marked, and
/// revokes the permission of its person.
///
/// Safe to repeat: what is cancelled is not found again, and a permission that was revoked before
/// counts as revoked. If somebody connects again meanwhile, the rest stays as it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct DisconnectAccount {
    /// The account.
    pub account_id: AccountId,
    /// The fate of its waiting work.
    pub waiting: Waiting,
    /// True if other accounts of the tenant need the permission.
    pub is_kept: bool,
    /// The row with the person's token, if it is to be revoked.
    pub revocation_id: Option<Uuid>,
}

/// The outcome of revoking a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Revocation {
    /// The provider revoked it, or had done so before.
    Revoked,
    /// Other accounts that the same person connected need it.
    KeptForOthers,
    /// The provider has no such call: its person has to do it there.
    ByItsPerson,
    /// There was no token to revoke it with.
    NothingLeft,
}

impl Revocation {
    fn words(self, provider: Option<Provider>) -> String {
        let label = provider.map_or("the provider", Provider::label);
        match self {
            Self::Revoked => format!("The permission was revoked at {label}."),
            Self::KeptForOthers => {
                format!("The permission stays at {label}: other accounts that its person connected need it.")
            }
            Self::ByItsPerson => format!("{label} cannot be asked to end it: delete the key or the app there."),
            Self::NothingLeft => "There was no token any more with which to revoke it.".to_owned(),
        }
    }
}

impl Job for DisconnectAccount {
    type Services = Services;

    const KIND: &'static str = "disconnect_account";
    const QUEUE: Queue = queues::OAUTH;
    const RETRY: Retry = Retry::PATIENT;
    const TIMEOUT: Duration = Duration::from_mins(5);
    const PRIORITY: Priority = Priority::Interactive;

    fn unique_key(&self) -> Option<String> {
        Some(format!("{}:{}", self.account_id, self.waiting.name()))
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let waiting = match self.waiting {
            Waiting::Cancel => cancel_waiting(cx, self.account_id).await?,
            Waiting::Pause => Tally::default(),
        };
        let (revocation, provider) = self.revoke(cx).await?;
        let mut tx = cx.begin().await?;
        if let Some(id) = self.revocation_id {
            store::delete_revocation(&mut tx, cx.tenant_id(), id).await?;
        }
        tx.complete(json!({ "revocation": revocation, "why": revocation.words(provider), "waiting": waiting })).await
    }

    async fn on_not_completed(
        &self,
        tenant_id: TenantId,
        tx: &mut Tx,
        not_completed: &NotCompleted,
    ) -> Result<(), sqlx::Error> {
        match not_completed {
            NotCompleted::Discarded(_) | NotCompleted::Cancelled => self.give_up(tenant_id, tx).await,
            NotCompleted::Again(_)
            | NotCompleted::Reconciling(_)
            | NotCompleted::Parked(_)
            | NotCompleted::BroughtBack => Ok(()),
        }
    }
}

/// Cancels the waiting work of an account. Calls that may have happened stay, and end by
/// themselves.
async fn cancel_waiting(cx: &JobContext, account_id: AccountId) -> Result<Tally, JobError> {
    let (mut tally, mut after) = (Tally::default(), None);
    loop {
        let mut tx = cx.begin().await?;
        tx.hold().await?;
        if !store::is_disconnected(&mut tx, cx.tenant_id(), account_id).await? {
            return Ok(tally);
        }
        let filter = JobFilter {
            tenant_id: Some(cx.tenant_id()),
            account_id: Some(account_id.0),
            not_states: vec![JobState::Completed, JobState::Cancelled, JobState::Discarded],
            after,
            ..JobFilter::default()
        };
        let part = ledger::list_jobs(&mut tx, KINDS, &filter, JOBS_AT_ONCE).await?;
        let ids: Vec<_> = part.jobs.iter().map(|job| job.id).collect();
        let (actor, asked) = (Actor::job(cx.job_id(), DisconnectAccount::KIND), json!({ "account_id": account_id }));
        let order = Order {
            keyring: &cx.services().keyring,
            actor: &actor,
            action: Action::Cancel,
            asked: &asked,
            job_id: Some(cx.job_id()),
        };
        tally.merge(act_on_selection(&mut tx, KINDS, &order, &ids).await?);
        tx.commit().await?;
        after = part.next;
        if after.is_none() {
            return Ok(tally);
        }
    }
}

impl DisconnectAccount {
    async fn revoke(&self, cx: &JobContext) -> Result<(Revocation, Option<Provider>), JobError> {
        let mut tx = cx.begin().await?;
        let row = match self.revocation_id {
            Some(id) => store::get_revocation(&mut tx, cx.tenant_id(), id).await?,
            None => None,
        };
        drop(tx);
        let Some(row) = row else {
            return Ok((if self.is_kept { Revocation::KeptForOthers } else { Revocation::NothingLeft }, None));
        };
        let provider = row.provider.known()?;
        Ok((revoke(cx, provider, &row).await?, Some(provider)))
    }

    /// Erases the token that was kept, and tells on the account what is left to do.
    async fn give_up(&self, tenant_id: TenantId, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let Some(id) = self.revocation_id else {
            return Ok(());
        };
        let Some(provider) = store::delete_revocation(tx, tenant_id, id).await? else {
            return Ok(());
        };
        let label = provider.known().map_or_else(|_| provider.0.clone(), |provider| provider.label().to_owned());
        store::set_left_to_do(tx, tenant_id, self.account_id, &not_revoked(&label)).await
    }
}

async fn revoke(cx: &JobContext, provider: Provider, row: &RevocationRow) -> Result<Revocation, JobError> {
    let mut tx = cx.db().system().await?;
    let is_connected = store::is_person_connected(&mut tx, provider, &row.subject_id).await?;
    drop(tx);
    // Revoking ends every token of the person, in other tenants too.
    if is_connected {
        return Ok(Revocation::KeptForOthers);
    }
    let connector = cx.services().providers.connector(provider)?;
    if !connector.revokes() {
        return Ok(Revocation::ByItsPerson);
    }
    let place = store::revocation_place(cx.tenant_id(), row.id);
    let token = cx.services().keyring.decrypt(place, &row.access_token)?;
    match connector.revoke(&token).await {
        Ok(()) => Ok(Revocation::Revoked),
        Err(error) if error.class() == Class::Reauth => Ok(Revocation::Revoked),
        Err(error) => {
            let words =
                format!("The account is disconnected and its tokens are erased. {}", not_revoked(provider.label()));
            Err(JobError::Retry(Cause::new(CauseClass::Transient, words, error)))
        }
    }
}

fn not_revoked(label: &str) -> String {
    format!(
        "{label} has not revoked the permission. Its person can remove Linecook in the settings of their account at {label}."
    )
}

#[cfg(test)]
mod tests;
