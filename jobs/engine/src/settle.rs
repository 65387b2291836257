//! Settling: writing the outcome of an attempt, guarded by the fence.
//!
//! A completion is written with the job's own rows or in a batch ([`Settler`]). Any other outcome
//! is decided first ([`decide`]). The job's own rows follow, and the verdict is written ([`fail`],
//! [`apply_verdict`]).

mod apply;
mod batch;
mod children;
mod complete;
mod decide;
mod fail;
mod hand_back;

use std::cmp::Reverse;

use uuid::Uuid;

pub(super) use self::{
    apply::apply_verdict,
    children::{EndedChild, release_parents, wait_for_children},
    complete::{archive, complete, complete_free},
    decide::Verdict,
    fail::{Ending, read_situation, settle_failed},
};
pub use self::{batch::Settler, hand_back::hand_back};
use super::{Attempt, Tx};

/// Returns the jobs whose latest attempt is among these.
pub(super) async fn list_current(tx: &mut Tx, attempts: &[Attempt]) -> Result<Vec<Uuid>, sqlx::Error> {
    let (ids, numbers) = columns(attempts);
    sqlx::query_scalar!(
        "
        select current.id
        from unnest($1::uuid[], $2::int[]) as mine (id, attempt)
        cross join lateral (
          select id
          from jobs
          where id = mine.id and attempt = mine.attempt and state is not distinct from 'executing'
          offset 0
        ) current
        ",
        &ids,
        &numbers
    )
    .fetch_all(&mut **tx)
    .await
}

fn columns<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> (Vec<Uuid>, Vec<i32>) {
    attempts.into_iter().map(|attempt| (attempt.job_id.0, attempt.number)).unzip()
}

/// Returns the order in which rows of `jobs` are locked everywhere: the deepest children first.
fn lock_order(attempt: &Attempt) -> (Reverse<i16>, Uuid) {
    (Reverse(attempt.depth), attempt.job_id.0)
}
