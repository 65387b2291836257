//! A key that a request holds, from its claim to its response.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use jobs::{
    engine::{
        Db, Scope, Tx,
        failpoint::{self, Failpoint},
    },
    idempotency::{LOCK, store},
    ids::TenantId,
    secrets::{Keyring, SecretLocation},
};
use poem::http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::{Answer, Parts};
use crate::{ApiError, auth::Checks};

/// The time between renewals of a key. Two in a row may get lost.
const RENEWAL: Duration = LOCK.checked_div(3).expect("not by zero");

/// The time for which a commit without a response is looked up. After that the client has to retry.
const LOOK_UP: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The progress of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// Nothing is committed, and nothing will be by itself.
    Running,
    /// A commit was sent. Only the key's row says if it happened.
    Committing,
    /// It committed, and the key has its response.
    Answered,
}

/// A key that a request holds.
#[derive(Debug)]
pub(crate) struct HeldKey {
    pub(super) db: Db,
    pub(super) keyring: Keyring,
    pub(super) request: store::Request,
    pub(super) id: Uuid,
    stage: AtomicU8,
    checks: Mutex<Checks>,
}

/// The kept data, encrypted: the response, and the permissions that its caller needed.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    parts: Parts,
    /// Absent in responses from before it was kept, for a day.
    #[serde(default)]
    checks: Checks,
}

impl HeldKey {
    pub(super) fn new(db: Db, keyring: Keyring, request: store::Request, id: Uuid) -> Self {
        let stage = AtomicU8::new(Stage::Running as u8);
        Self { db, keyring, request, id, stage, checks: Mutex::default() }
    }

    /// Remembers the permissions that the caller needed: whoever asks for the response again needs
    /// them then.
    pub(crate) fn remember(&self, check: impl FnOnce(&mut Checks)) {
        check(&mut self.checks.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Commits a transaction with its response, if the request still holds the key.
    ///
    /// If the database's reply to the commit is lost, the key's row tells if it happened. While the
    /// row cannot be read, the key stays held. A retry waits until the row can be read, and then
    /// finds the response or runs.
    pub(crate) async fn commit(&self, mut tx: Tx, answer: &Answer) -> Result<(), ApiError> {
        if !self.keep_in(&mut tx, answer).await? {
            return Err(ApiError::in_flight());
        }
        self.enter(Stage::Committing);
        failpoint::reach(Failpoint::BeforeCommit);
        if let Err(error) = tx.commit().await {
            let looked = tokio::time::timeout(LOOK_UP, self.look_until_seen()).await;
            match looked {
                Ok(true) => tracing::warn!(%error, "a commit that seemed to fail had happened"),
                Ok(false) => {
                    self.enter(Stage::Running);
                    return Err(error.into());
                }
                Err(_) => return Err(ApiError::unclear(error)),
            }
        }
        failpoint::reach(Failpoint::Committed);
        self.enter(Stage::Answered);
        Ok(())
    }

    /// Returns true if the key has this request's response, as soon as that can be read.
    async fn look_until_seen(&self) -> bool {
        loop {
            match self.look().await {
                Ok(is_answered) => return is_answered,
                Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        }
    }

    async fn look(&self) -> Result<bool, sqlx::Error> {
        let mut tx = self.begin().await?;
        let is_answered = store::lock_and_see(&mut tx, &self.request, self.id).await?;
        tx.commit().await?;
        Ok(is_answered)
    }

    /// Ends a request that returned `answer`. If it committed nothing, a final response is kept,
    /// and otherwise the key is freed.
    pub(super) async fn settle(&self, answer: &Answer) {
        if self.stage.load(Ordering::SeqCst) != Stage::Running as u8 {
            return;
        }
        let settled = if is_final(answer.status) { self.keep(answer).await } else { self.free().await };
        if let Err(error) = settled {
            tracing::warn!(%error, "an Idempotency-Key is held a little longer than its request ran");
        }
    }

    /// Renews the key for as long as this is polled.
    pub(super) async fn renew(&self) -> ! {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = self.renew_once().await {
                tracing::warn!(%error, "an Idempotency-Key could not be held on to");
            }
        }
    }

    async fn renew_once(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.begin().await?;
        store::renew(&mut tx, &self.request, self.id).await?;
        tx.commit().await
    }

    async fn keep(&self, answer: &Answer) -> Result<(), sqlx::Error> {
        let mut tx = self.begin().await?;
        self.keep_in(&mut tx, answer).await?;
        tx.commit().await
    }

    async fn free(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.begin().await?;
        store::delete(&mut tx, &self.request, self.id).await?;
        tx.commit().await
    }

    async fn begin(&self) -> Result<Tx, sqlx::Error> {
        self.db.begin(Scope::of(self.request.tenant_id)).await
    }

    async fn keep_in(&self, tx: &mut Tx, answer: &Answer) -> Result<bool, sqlx::Error> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kept = Kept { parts: answer.parts.clone(), checks };
        let kept = serde_json::to_string(&kept).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let envelope = self.keyring.encrypt(location(self.request.tenant_id, self.id), &SecretString::from(kept));
        store::answer(tx, &self.request, self.id, answer.status.as_u16().cast_signed(), &envelope).await
    }

    fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::SeqCst);
    }
}

/// Reads a kept response, with the permissions that its caller needed.
pub(super) fn read(
    keyring: &Keyring,
    (tenant_id, id): (TenantId, Uuid),
    (status, envelope): (i16, &str),
) -> Result<(Answer, Checks), ApiError> {
    let kept = keyring.decrypt(location(tenant_id, id), envelope).map_err(ApiError::internal)?;
    let Kept { parts, checks } = serde_json::from_str(kept.expose_secret()).map_err(ApiError::internal)?;
    let status = StatusCode::from_u16(status.cast_unsigned()).map_err(ApiError::internal)?;
    Ok((Answer { status, parts }, checks))
}

/// Returns true if the same request would get the same response again. A failure had no effect; a
/// request that the current state refuses may succeed later.
fn is_final(status: StatusCode) -> bool {
    let may_change =
        [StatusCode::FORBIDDEN, StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !may_change.contains(&status)
}

fn location(tenant_id: TenantId, row_id: Uuid) -> SecretLocation {
    SecretLocation { table: "idempotency_keys", column: "answer", tenant_id, row_id }
}
