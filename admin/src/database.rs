//! The transactions of handlers: some only read, the others commit together with their response.

use std::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use jobs::engine::{Db, Scope, Tx};
use poem::{IntoResponse, Response};
use poem_openapi::{ApiResponse, registry::MetaResponses, registry::Registry};

use crate::{
    ApiError,
    auth::Caller,
    http::{Answer, HeldKey},
};

/// The database for handlers: what they write is committed only together with their response.
#[derive(Debug, Clone)]
pub struct Database(Db);

impl From<Db> for Database {
    fn from(db: Db) -> Self {
        Self(db)
    }
}

impl Database {
    /// Opens a read-only transaction. It ends when it is dropped.
    pub(crate) async fn read(&self, scope: Scope) -> Result<ReadTx, sqlx::Error> {
        self.0.begin_read_only(scope).await.map(ReadTx)
    }

    /// Opens a transaction for the caller's writes. It ends with [`WriteTx::answer`], or rolls
    /// back.
    pub(crate) async fn write(&self, scope: Scope, caller: &Caller) -> Result<WriteTx, sqlx::Error> {
        Ok(WriteTx { tx: self.0.begin(scope).await?, key: caller.key() })
    }

    /// Returns an error if the database does not respond.
    pub(crate) async fn ping(&self) -> Result<(), sqlx::Error> {
        self.0.ping().await
    }

    /// Returns the database without these rules, for operations without an `Idempotency-Key`:
    /// authentication and signing in.
    pub(crate) fn unkeyed(&self) -> &Db {
        &self.0
    }
}

/// A read-only transaction.
pub(crate) struct ReadTx(Tx);

impl Deref for ReadTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.0
    }
}

impl DerefMut for ReadTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.0
    }
}

/// A transaction of a request that may have an `Idempotency-Key`.
pub(crate) struct WriteTx {
    tx: Tx,
    key: Option<Arc<HeldKey>>,
}

impl WriteTx {
    /// Keeps the response under the request's `Idempotency-Key`, if it has one, and commits both
    /// together with the writes.
    pub(crate) async fn answer<T: IntoResponse>(self, answer: T) -> Result<Answered<T>, ApiError> {
        let response = answer.into_response();
        let response = match self.key {
            None => {
                self.tx.commit().await.map_err(ApiError::of_commit)?;
                response
            }
            Some(key) => {
                let answer = Answer::of(response).await?;
                key.commit(self.tx, &answer).await?;
                answer.into_response()
            }
        };
        Ok(Answered { response, answer: PhantomData })
    }
}

impl Deref for WriteTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

/// A response that was committed together with the writes that it reports.
pub(crate) struct Answered<T> {
    response: Response,
    answer: PhantomData<fn() -> T>,
}

impl<T: Send> IntoResponse for Answered<T> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<T: ApiResponse> ApiResponse for Answered<T> {
    fn meta() -> MetaResponses {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
