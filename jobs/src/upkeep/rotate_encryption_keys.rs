//! Encrypts every stored secret again with the first key of the keyring.

mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use self::store::{Found, Part, SECRET_COLUMNS, SecretColumn};
use crate::{
    engine::{Done, Job, JobContext, JobError, Level, Queue, Retry},
    queues,
    services::Services,
};

/// The number of pages of a table in one part: 4 MiB.
const PAGES_AT_ONCE: usize = 512;

/// The number of secrets that one transaction replaces.
const SECRETS_AT_ONCE: usize = 100;

/// Encrypts all stored secrets with the first key of `ENCRYPTION_KEYS` that are encrypted with
/// another one.
///
/// Safe to repeat: secrets that already use the first key are not found again. A secret is only
/// replaced while it still has the text that was decrypted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RotateEncryptionKeys {}

impl Job for RotateEncryptionKeys {
    type Services = Services;

    const KIND: &'static str = "rotate_encryption_keys";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::PATIENT;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut rotation = Rotation::begin(cx).await?;
        for column in SECRET_COLUMNS {
            rotation.rotate_column(*column).await?;
        }
        cx.begin().await?.complete(json!(rotation.count)).await
    }
}

/// The number of secrets.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Count {
    /// Secrets that were encrypted again.
    rotated: u64,
    /// Secrets that cannot be decrypted with any key of the keyring. The job's log names them.
    unreadable: usize,
}

/// A rotation under way. Its progress is counted in pages of tables.
struct Rotation<'a> {
    cx: &'a JobContext,
    count: Count,
    pages_read: usize,
    pages: usize,
}

impl<'a> Rotation<'a> {
    async fn begin(cx: &'a JobContext) -> Result<Self, JobError> {
        let mut tx = cx.begin().await?;
        let mut pages = 0;
        for column in SECRET_COLUMNS {
            pages += store::count_pages(&mut tx, *column).await?;
        }
        Ok(Self { cx, count: Count::default(), pages_read: 0, pages })
    }

    /// Reads a table from its first page to its last. A row that somebody changes meanwhile may
    /// move to a page that was read already, so the table is read until nothing is left.
    async fn rotate_column(&mut self, column: SecretColumn) -> Result<(), JobError> {
        loop {
            let mut tx = self.cx.begin().await?;
            let pages = store::count_pages(&mut tx, column).await?;
            drop(tx);
            let (rotated, mut unreadable) = (self.count.rotated, 0);
            for first in (0..pages).step_by(PAGES_AT_ONCE) {
                self.report(column, first);
                unreadable += self.rotate_part(column, first).await?;
            }
            if self.count.rotated == rotated {
                self.count.unreadable += unreadable;
                self.pages_read += pages;
                self.report(column, 0);
                return Ok(());
            }
        }
    }

    /// Encrypts the secrets of some pages again. Returns the number of unreadable ones.
    async fn rotate_part(&mut self, column: SecretColumn, first: usize) -> Result<usize, JobError> {
        let mut part = Part { after: format!("({first},0)"), before: format!("({},0)", first + PAGES_AT_ONCE) };
        let (cx, mut unreadable) = (self.cx, 0);
        loop {
            let mut tx = cx.begin().await?;
            let key_id = cx.services().keyring.first_id();
            let found = store::list_older(&mut tx, column, key_id, &part, SECRETS_AT_ONCE).await?;
            let Some(last) = found.last() else {
                return Ok(unreadable);
            };
            part.after.clone_from(&last.at);
            let encrypted = encrypt_again(cx, column, &found);
            unreadable += found.len() - encrypted.len();
            let rotated = store::replace(&mut tx, column, &encrypted).await?;
            tx.commit().await?;
            self.count.rotated += rotated;
        }
    }

    fn report(&self, SecretColumn { table, column, .. }: SecretColumn, pages: usize) {
        let message = format!("{table}.{column}: {} secrets encrypted again so far", self.count.rotated);
        // Tables may have grown since the beginning.
        let done = self.pages.min(self.pages_read + pages);
        self.cx.progress(done as u64, self.pages as u64, &message);
    }
}

/// Returns the new envelopes of the secrets that can be read.
fn encrypt_again<'a>(cx: &JobContext, column: SecretColumn, found: &'a [Found]) -> Vec<(&'a Found, String)> {
    let keyring = &cx.services().keyring;
    let encrypt = |secret: &'a Found| {
        let place = column.place(secret);
        match keyring.decrypt(place, &secret.envelope) {
            Ok(plain) => Some((secret, keyring.encrypt(place, &plain))),
            Err(error) => {
                let SecretColumn { table, column, .. } = column;
                cx.log(Level::Warning, &format!("{table}.{column} of {}: {error}", secret.row_id));
                None
            }
        }
    };
    found.iter().filter_map(encrypt).collect()
}

#[cfg(test)]
mod tests;
