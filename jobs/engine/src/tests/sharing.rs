//! Slots that tenants share: hanging jobs of one hold up no other.

use sqlx::PgPool;
use uuid::Uuid;

use super::{NOOPS, Noop};
use crate::{
    NewJob, Priority,
    dispatch::{self, Cursor, Order, QueueLimits},
    ids::{AccountId, TenantId},
    testing::Bench,
};

async fn enqueue(bench: &Bench, tenant_id: TenantId, count: usize) {
    let job = || NewJob::new(tenant_id, &Noop::default()).on_account(AccountId::new());
    let mut tx = bench.engine.db.system().await.unwrap();
    tx.enqueue_all((0..count).map(|_| job()).collect()).await.unwrap();
    tx.commit().await.unwrap();
}

/// Releases as a leader with ten slots does, until nothing more is.
async fn release_all(bench: &Bench) {
    let (kinds, limits, cursor) =
        (bench.engine.kind_names(), QueueLimits::default().sharing(10), &mut Cursor::default());
    for _ in 0..5 {
        let room = 10 - usize::try_from(in_window(bench, None).await).unwrap();
        let priority = Priority::Normal.number();
        let order = Order { queue: "default", priority, kinds: &kinds, limits, room, at_once: None, is_marked: true };
        let mut tx = dispatch::begin(&bench.engine.db).await.unwrap();
        dispatch::release(&mut tx, &order, cursor).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn in_window(bench: &Bench, tenant_id: Option<TenantId>) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select count(*) from jobs where dispatched_at is not null and ($1::uuid is null or tenant_id = $1)";
    sqlx::query_scalar(sql).bind(tenant_id.map(|id| id.0)).fetch_one(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn no_tenant_has_more_than_half_and_the_last_slot_is_for_one_that_runs_nothing(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (second, lone) = (TenantId::new(), TenantId(Uuid::max()));
    bench.insert_tenant(second, "Hults Cafe").await;
    bench.insert_tenant(lone, "Lone Diner").await;
    enqueue(&bench, bench.tenant_id, 200).await;
    release_all(&bench).await;
    assert_eq!(in_window(&bench, None).await, 5, "half, though nobody else wants the rest");
    enqueue(&bench, second, 200).await;
    release_all(&bench).await;
    assert_eq!(in_window(&bench, Some(second)).await, 4, "the last one is kept");
    enqueue(&bench, lone, 3).await;
    release_all(&bench).await;
    assert_eq!((in_window(&bench, Some(lone)).await, in_window(&bench, None).await), (1, 10));
}
