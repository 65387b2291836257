//! The beginning of a transaction, which nothing cuts short.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::runtime::Handle;

/// A transaction that begins. Dropped before it has, as by a client that hangs up, it goes on by itself and rolls back what
/// began: sqlx takes back only what it saw begin, and would give the connection to the next user with the scope in it.
pub(super) struct Begin(Option<BoxFuture<'static, Result<Transaction<'static, Postgres>, sqlx::Error>>>);

impl Begin {
    /// Begins by this statement, on any connection of the pool.
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
            // The transaction that comes of it is dropped there.
            runtime.spawn(beginning);
        }
    }
}
