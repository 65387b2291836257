//! Measures the number of jobs that can be enqueued a second.

use std::time::Instant;

use anyhow::ensure;
use futures_util::future::try_join_all;
use jobs::{
    engine::{Db, NewJob},
    ids::TenantId,
    noop::Noop,
};

use crate::{
    figures::{per_second, print, say},
    stage::Servers,
    store,
};

/// Jobs in one call of `enqueue_all`, which makes one statement of them.
const BATCH: usize = 2_000;

/// Tasks that enqueue side by side, each with a connection.
const TASKS: usize = 8;

/// Measures:
/// - `enqueue`: enqueues in bulk, all in one transaction;
/// - `enqueue_one`: enqueues each in its own transaction, one after the other over one
///   connection, as Celery's client does;
/// - `enqueue_one_parallel`: does the same in eight tasks with a connection each, as a web server
///   does.
///
/// Every commit wakes the dispatcher through Redis, though none runs here.
pub(crate) async fn measure(servers: &Servers, jobs: u32) -> anyhow::Result<()> {
    say("Enqueueing");
    let count = usize::try_from(jobs)?;
    let bulk =
        in_stage(servers, "enqueue", 1, count, async |db, tenant_id| in_bulk(&db, tenant_id, count).await).await?;
    print("enqueue", bulk);
    let one = in_stage(servers, "enqueue_one", 1, count, async |db, tenant_id| one_by_one(db, tenant_id, count).await)
        .await?;
    print("enqueue_one", one);
    let each = count / TASKS;
    let parallel = in_stage(servers, "enqueue_one_parallel", TASKS, each * TASKS, async |db, tenant_id| {
        try_join_all((0..TASKS).map(|_| tokio::spawn(one_by_one(db.clone(), tenant_id, each))))
            .await?
            .into_iter()
            .collect()
    })
    .await?;
    print("enqueue_one_parallel", parallel);
    Ok(())
}

/// Enqueues jobs of one tenant, in one transaction.
pub(crate) async fn in_bulk(db: &Db, tenant_id: TenantId, count: usize) -> anyhow::Result<()> {
    let mut tx = db.tenant(tenant_id).await?;
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        tx.enqueue_all((0..batch).map(|_| NewJob::new(tenant_id, &Noop::default())).collect()).await?;
        left -= batch;
    }
    Ok(tx.commit().await?)
}

/// Enqueues one job.
pub(crate) async fn one(db: &Db, tenant_id: TenantId) -> anyhow::Result<()> {
    let mut tx = db.tenant(tenant_id).await?;
    tx.enqueue(NewJob::new(tenant_id, &Noop::default())).await?;
    Ok(tx.commit().await?)
}

async fn one_by_one(db: Db, tenant_id: TenantId, count: usize) -> anyhow::Result<()> {
    for _ in 0..count {
        one(&db, tenant_id).await?;
    }
    Ok(())
}

/// Returns the jobs enqueued a second into a fresh ledger.
async fn in_stage(
    servers: &Servers,
    name: &str,
    connections: usize,
    count: usize,
    enqueue: impl AsyncFnOnce(Db, TenantId) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let stage = servers.set_stage(name).await?;
    let mut ledger = stage.ledger.acquire().await?;
    let tenant_id = store::insert_tenants(&mut ledger, 1).await?[0];
    let db = stage.connect(u32::try_from(connections)?).await?;
    let begun = Instant::now();
    enqueue(db, tenant_id).await?;
    let rate = per_second(count, begun.elapsed());
    let waiting = store::count_waiting(&mut ledger, u32::MAX).await?;
    ensure!(usize::try_from(waiting)? == count, "{waiting} jobs wait instead of {count}");
    drop(ledger);
    stage.strike().await?;
    Ok(rate)
}
