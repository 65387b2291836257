//! The plans of statements for staff, over tables of any size.

use sqlx::PgConnection;

/// The indexes that the statements of a transaction use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plans {
    /// Indexes that are walked in their order, so that a statement ends at its limit.
    InOrder,
    /// Indexes by range of time too, which are read as bitmaps.
    ByRange,
}

/// Chooses the plans of the next statements of the transaction. They read no whole table, and sort
/// no more than they return if an index has that order.
///
/// Rows change state all the time, so the statistics are often stale and would suggest such plans.
/// Over a million rows they take seconds, while walking 20,000 rows of an index takes 0.1 s. Only a
/// plan made for the given values can use an index for an optional condition.
pub(super) async fn choose(conn: &mut PgConnection, plans: Plans) -> Result<(), sqlx::Error> {
    let sorts = if plans == Plans::ByRange { "on" } else { "off" };
    sqlx::query!(
        "
        select count(set_config(name, value, true)) as settings
        from (
          values ('plan_cache_mode', 'force_custom_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', $1), ('enable_sort', $1),
            ('max_parallel_workers_per_gather', '0'), ('jit', 'off')
        ) as setting (name, value)
        ",
        sorts
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}
