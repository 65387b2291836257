//! Erases a tenant and all its data.

mod connections;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store::{self, TABLES};
use crate::{
    audit::{self, Actor},
    engine::{Cause, CauseClass, Done, Job, JobContext, JobError, Queue, Retry, purge},
    ids::TenantId,
    queues,
    services::Services,
};

/// The number of rows that one transaction deletes.
const ROWS_AT_ONCE: i64 = 1_000;

/// The number of attempts to revoke connections before the remaining ones are left as they are.
const REVOKING_TRIES: u32 = 5;

/// The wait before a provider is asked to revoke again.
const REVOKE_AGAIN: Duration = Duration::from_mins(1);

/// The wait for jobs that were asked to stop, and before looking for rows that came in meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Erases the tenant `tenant_id`, which [`super::erase`] has marked.
///
/// Safe to repeat: each step removes the rows it finds, in its own transactions. The tenant's row
/// goes last, when nothing is left. Rows that were being written during a step are found by the
/// next run.
#[derive(Debug, Serialize, Deserialize)]
pub struct EraseTenant {
    /// The tenant.
    pub tenant_id: TenantId,
}

/// The progress so far.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// Jobs that had not ended.
    jobs: u64,
    /// Connections that were revoked at the provider, or were dead already.
    revoked: u64,
    /// Connections of people who have connections in another tenant too: revoking would end those
    /// as well.
    kept_for_others: u64,
    /// Connections that the provider did not revoke. The people can do so in their account there.
    not_revoked: u64,
    /// Connections that the provider cannot be asked to revoke.
    #[serde(default)]
    by_their_people: u64,
    /// The number of attempts to revoke.
    revoking_tries: u32,
    /// True once revoking is over.
    is_revoked: bool,
    /// Files.
    files: u64,
    /// Rows, without the jobs that had not ended.
    rows: u64,
}

impl Job for EraseTenant {
    type Services = Services;

    const KIND: &'static str = "erase_tenant";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::PATIENT;
    const TIMEOUT: Duration = Duration::from_hours(1);

    fn unique_key(&self) -> Option<String> {
        Some(self.tenant_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut erasing = Erasing { cx, tenant_id: self.tenant_id, progress: read_progress(cx).await? };
        if cx.tenant_id() != TenantId::SYSTEM {
            return Err(JobError::Fail(Cause::plain(CauseClass::Permanent, "Only the system erases tenants.")));
        }
        let mut tx = cx.begin().await?;
        let is_there = store::is_there(&mut tx, self.tenant_id).await?;
        drop(tx);
        if is_there {
            erasing.end_jobs().await?;
            erasing.revoke_connections().await?;
            erasing.delete_files(2).await?;
            erasing.look_for_connections().await?;
            erasing.delete_rows().await?;
            erasing.finish().await?;
        }
        // A file that was uploaded during the erasure has no row any more.
        erasing.delete_files(STEPS - 1).await?;
        erasing.say(STEPS, "erased");
        cx.begin().await?.complete(json!(erasing.progress)).await
    }
}

async fn read_progress(cx: &JobContext) -> Result<Progress, JobError> {
    let progress = cx.last_checkpoint().await?;
    Ok(progress.and_then(|progress| serde_json::from_value(progress).ok()).unwrap_or_default())
}

/// The number of steps; each table is one.
const STEPS: usize = TABLES.len() + 5;

struct Erasing<'a> {
    cx: &'a JobContext,
    tenant_id: TenantId,
    progress: Progress,
}

impl Erasing<'_> {
    fn say(&self, step: usize, words: &str) {
        self.cx.progress(step as u64, STEPS as u64, words);
    }

    /// Deletes waiting jobs, asks running jobs to stop, and waits for them.
    ///
    /// A job whose call to a provider may have happened is not run again, so the call is not
    /// repeated.
    async fn end_jobs(&mut self) -> Result<(), JobError> {
        loop {
            self.say(0, &format!("{} jobs ended", self.progress.jobs));
            let mut tx = self.cx.begin().await?;
            let purged = purge::purge(&mut tx, self.tenant_id, ROWS_AT_ONCE).await?;
            self.progress.jobs += purged.deleted;
            tx.checkpoint(&json!(self.progress)).await?;
            match (purged.deleted, purged.running) {
                (0, 0) => return Ok(()),
                (0, _) => return Err(look_again("Jobs of the tenant are asked to stop and have not ended yet.")),
                (_, _) => {}
            }
        }
    }

    async fn delete_files(&mut self, step: usize) -> Result<(), JobError> {
        loop {
            self.say(step, &format!("{} files deleted", self.progress.files));
            let deleted = self.cx.services().storage.delete_some(&self.tenant_id.to_string()).await?;
            self.progress.files += deleted;
            if deleted == 0 {
                return Ok(());
            }
        }
    }

    async fn delete_rows(&mut self) -> Result<(), JobError> {
        for (at, table) in TABLES.iter().enumerate() {
            loop {
                self.say(3 + at, &format!("{} rows deleted", self.progress.rows));
                let mut tx = self.cx.begin().await?;
                let deleted = store::delete_some(&mut tx, table, self.tenant_id, ROWS_AT_ONCE).await?;
                self.progress.rows += deleted;
                tx.checkpoint(&json!(self.progress)).await?;
                if deleted < ROWS_AT_ONCE.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Deletes the audit log and, with its last entries, the tenant itself.
    async fn finish(&mut self) -> Result<(), JobError> {
        self.say(STEPS - 2, "the audit log and the tenant itself");
        let actor = Actor::job(self.cx.job_id(), EraseTenant::KIND);
        let keyring = &self.cx.services().keyring;
        loop {
            let mut tx = self.cx.begin().await?;
            tx.hold().await?;
            let is_over = audit::erase_some(&mut tx, keyring, &actor, self.tenant_id, ROWS_AT_ONCE).await?;
            if is_over && !store::finish(&mut tx, self.tenant_id).await? {
                return Err(look_again("Something came in at the last moment; it is looked for again."));
            }
            tx.checkpoint(&json!(self.progress)).await?;
            if is_over {
                return Ok(());
            }
        }
    }
}

fn look_again(words: &str) -> JobError {
    JobError::Later(LOOK_AGAIN, Cause::plain(CauseClass::Busy, words))
}

#[cfg(test)]
mod tests;
