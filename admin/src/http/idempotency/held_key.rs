//! A key that a request holds, from its claim to its answer.

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

/// A key is held on by three renewals, so that two of them may get lost.
const RENEWAL: Duration = LOCK.checked_div(3).expect("not by zero");

/// How long a commit without an answer is looked up before its client is told to come back.
const LOOK_UP: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// Nothing is committed, and nothing will be by itself.
    Running,
    /// A commit was sent. Only the key's row says what became of it.
    Committing,
    /// It committed, and the key has its answer.
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

/// What is kept, encrypted: the answer, and what its caller had to be allowed.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    parts: Parts,
    /// Absent in answers from before it was kept, for a day.
    #[serde(default)]
    checks: Checks,
}

impl HeldKey {
    pub(super) fn new(db: Db, keyring: Keyring, request: store::Request, id: Uuid) -> Self {
        let stage = AtomicU8::new(Stage::Running as u8);
        Self { db, keyring, request, id, stage, checks: Mutex::default() }
    }

    /// Remembers what the caller had to be allowed: whoever wants the answer again has to be allowed it then.
    pub(crate) fn remember(&self, check: impl FnOnce(&mut Checks)) {
        check(&mut self.checks.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Commits a transaction with its answer, if the request holds the key still.
    ///
    /// If the database's answer to the commit is lost, the key's row tells what became of it. While that cannot be read, the key
    /// stays held: the same request has to wait until the row can be read, and finds the answer or runs.
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

    /// Returns whether the key has this request's answer, as soon as that can be read.
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

    /// Ends a request that has returned `answer`: one that committed nothing has it kept if it is final, else its key is free.
    pub(super) async fn settle(&self, answer: &Answer) {
        if self.stage.load(Ordering::SeqCst) != Stage::Running as u8 {
            return;
        }
        let settled = if is_final(answer.status) { self.keep(answer).await } else { self.free().await };
        if let Err(error) = settled {
            tracing::warn!(%error, "an Idempotency-Key is held a little longer than its request ran");
        }
    }

    /// Holds on to the key for as long as this is polled.
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

/// Reads an answer that was kept, with what its caller had to be allowed.
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

/// Whether the same request would have the same answer again. A failure had no effect; and what cannot be done in the state that
/// things are in may be possible the next time.
fn is_final(status: StatusCode) -> bool {
    let may_change =
        [StatusCode::FORBIDDEN, StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !may_change.contains(&status)
}

fn location(tenant_id: TenantId, row_id: Uuid) -> SecretLocation {
    SecretLocation { table: "idempotency_keys", column: "answer", tenant_id, row_id }
}
