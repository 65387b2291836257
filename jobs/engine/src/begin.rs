//! The start of a transaction, which is never cut short.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::runtime::Handle;

/// A transaction that is being started.
///
/// If this is dropped early, because a client hung up, the start continues in the background and
/// the transaction is rolled back. sqlx only rolls back transactions whose start it saw complete.
/// Otherwise the next user would get the connection with the old scope.
pub(super) struct Begin(Option<BoxFuture<'static, Result<Transaction<'static, Postgres>, sqlx::Error>>>);

impl Begin {
    /// Starts a transaction by this statement, on any connection of the pool.
    pub(super) fn new(pool: PgPool, statement: String) -> Self {
        Self(Some(Box::pin(async move { pool.begin_with(AssertSqlSafe(statement)).await })))
    }
}

impl Future for Begin {
    type Output = Result<Transaction<'static, Postgres>, sqlx::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let beginning = self.0.as_mut().expect("it is not polled after its end");
        let begun = ready!(beginning.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(begun)
    }
}

impl Drop for Begin {
    fn drop(&mut self) {
        if let (Some(beginning), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            // The task drops the resulting transaction, which rolls it back.
            runtime.spawn(beginning);
        }
    }
}
