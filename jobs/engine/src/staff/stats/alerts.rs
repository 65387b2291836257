//! Counts of what needs an operator.

use super::{Count, MAX_COUNT};
use crate::Tx;

/// The most discarded jobs, the newest first, of which is asked when they ended.
const MAX_LATELY: i64 = 1_000;

/// Counts of what needs an operator. Each ends at [`MAX_COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alerts {
    /// Live workers.
    pub live_workers: i64,
    /// Workers that died within the last hour.
    pub dead_workers: Count,
    /// Discarded jobs that are kept.
    pub discarded: Count,
    /// Discarded jobs that ended within the last day, among the newest 1,000.
    pub discarded_lately: Count,
    /// Calls of which nobody can tell whether they happened.
    pub unknown_effects: Count,
    /// Jobs that wait for a person.
    pub for_person: Count,
    /// Accounts whose jobs wait for a provider's limit or a new login.
    pub parked_accounts: Count,
}

/// Counts what needs an operator, with plans in order.
pub(super) async fn count_alerts(tx: &mut Tx) -> Result<Alerts, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select
          (
            select count(*) from workers where clock_timestamp() between renewed_at and expires_at
          ) as "live_workers!",
          (
            select count(*)
            from workers
            where stopped_at is null and expires_at between clock_timestamp() - interval '1 hour' and clock_timestamp()
          ) as "dead_workers!",
          (
            select count(*)
            from (select from job_history where state = 'discarded' limit $1::bigint + 1) found
          ) as "discarded!",
          (
            select count(*)
            from (
              select ended_at from job_history where state = 'discarded' order by created_at desc, id desc limit $2
            ) newest
            where ended_at > engine_now() - interval '1 day'
          ) as "discarded_lately!",
          (
            select count(*)
            from (select from effects where state in ('sent', 'unknown') and state = 'unknown' limit $1::bigint + 1) found
          ) as "unknown_effects!",
          (
            select count(*)
            from (select from jobs where state = 'suspended' and suspended_on = 'person' limit $1::bigint + 1) found
          ) as "for_person!",
          (select count(*) from (select from parked_accounts limit $1::bigint + 1) found) as "parked_accounts!"
        "#,
        MAX_COUNT,
        MAX_LATELY
    )
    .fetch_one(&mut **tx)
    .await?;
    let count = |count: i64| Count { count: count.min(MAX_COUNT), is_exact: count <= MAX_COUNT };
    Ok(Alerts {
        live_workers: row.live_workers,
        dead_workers: count(row.dead_workers),
        discarded: count(row.discarded),
        discarded_lately: Count { count: row.discarded_lately, is_exact: row.discarded_lately < MAX_LATELY },
        unknown_effects: count(row.unknown_effects),
        for_person: count(row.for_person),
        parked_accounts: count(row.parked_accounts),
    })
}
