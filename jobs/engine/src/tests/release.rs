//! Tests of the order of releases: priorities, turns, limits, parked accounts, paused queues.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

use super::{NOOPS, Noop, claim_all, register};
use crate::{
    CauseClass, Facts, NewJob, Priority,
    dispatch::{self, Cursor, Order, QueueLimits, Released},
    ids::{AccountId, TenantId},
    ledger, parking,
    testing::Bench,
};

async fn enqueue(bench: &Bench, jobs: Vec<NewJob>) {
    let mut tx = bench.engine.db.system().await.unwrap();
    tx.enqueue_all(jobs).await.unwrap();
    tx.commit().await.unwrap();
}

fn noops(tenant_id: TenantId, count: usize) -> Vec<NewJob> {
    vec![NewJob::new(tenant_id, &Noop::default()); count]
}

/// Releases jobs and marks them.
async fn release(bench: &Bench, room: usize, limits: QueueLimits, cursor: &mut Cursor) -> Vec<Released> {
    let kinds = bench.engine.kind_names();
    let priority = Priority::Normal.number();
    let order = Order { queue: "default", priority, kinds: &kinds, limits, room, at_once: None, is_marked: true };
    let mut tx = bench.engine.db.system().await.unwrap();
    let released = dispatch::release(&mut tx, &order, cursor).await.unwrap();
    tx.commit().await.unwrap();
    released
}

/// Returns the number of released jobs of each lane, the largest first.
async fn in_window(bench: &Bench) -> Vec<i64> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select count(*) from jobs where dispatched_at is not null group by lane order by 1 desc";
    sqlx::query_scalar(sql).fetch_all(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn lanes_take_turns_and_the_room_is_used(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (busy, quiet) = (AccountId::new(), AccountId::new());
    let jobs = noops(bench.tenant_id, 150).into_iter().enumerate();
    let lane = |(n, job): (usize, NewJob)| job.on_account(if n < 140 { busy } else { quiet });
    enqueue(&bench, jobs.map(lane).collect()).await;
    let cursor = &mut Cursor::default();
    let order = release(&bench, 40, QueueLimits::default(), cursor).await;
    assert_eq!((order.len(), in_window(&bench).await), (30, vec![20, 10]), "half each, as far as there is work");
    release(&bench, 40, QueueLimits::default(), cursor).await;
    assert_eq!(in_window(&bench).await, [60, 10], "a lone lane has all the room");
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_lane_has_its_turn_when_there_are_more_of_them_than_room(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let lanes: Vec<AccountId> = (0..50).map(|_| AccountId::new()).collect();
    let jobs =
        lanes.iter().flat_map(|&lane| noops(bench.tenant_id, 3).into_iter().map(move |job| job.on_account(lane)));
    enqueue(&bench, jobs.collect()).await;
    let cursor = &mut Cursor::default();
    for _ in 0..5 {
        assert_eq!(release(&bench, 10, QueueLimits::default(), cursor).await.len(), 10);
    }
    assert_eq!(in_window(&bench).await, vec![1; 50]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn limits_count_what_runs_and_hold_up_nobody_else(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let other = TenantId::new();
    bench.insert_tenant(other, "Hults Cafe").await;
    let (a, b) = (AccountId::new(), AccountId::new());
    let mut jobs: Vec<NewJob> = Vec::new();
    for lane in [a, b] {
        jobs.extend(noops(bench.tenant_id, 20).into_iter().map(|job| job.on_account(lane)));
    }
    jobs.extend(noops(other, 20));
    enqueue(&bench, jobs).await;
    let limits = QueueLimits { max_per_tenant: Some(5), max_per_account: Some(3), ..QueueLimits::default() };
    let cursor = &mut Cursor::default();
    for _ in 0..4 {
        release(&bench, 40, limits, cursor).await;
    }
    assert_eq!(in_window(&bench).await, [3, 3, 2], "3 an account, 5 a tenant");
    let worker = register(&bench).await;
    let kinds = bench.engine.kind_names();
    let mut tx = bench.engine.db.system().await.unwrap();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from jobs where dispatched_at is not null").fetch_all(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    crate::claim(&bench.engine.db, worker, "default", &kinds, &ids).await.unwrap();
    assert_eq!(release(&bench, 40, limits, cursor).await.len(), 0, "what runs counts as well");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_parked_account_waits_at_no_cost_and_comes_back(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (parked, free) = (AccountId::new(), AccountId::new());
    let mut jobs: Vec<NewJob> = noops(bench.tenant_id, 20).into_iter().map(|job| job.on_account(parked)).collect();
    jobs.extend(noops(bench.tenant_id, 5).into_iter().map(|job| job.on_account(free)));
    enqueue(&bench, jobs).await;
    let facts = Facts { class: CauseClass::Rate, message: "slow down".to_owned(), causes: Vec::new() };
    let mut tx = bench.engine.db.system().await.unwrap();
    parking::park(&mut tx, bench.tenant_id, parked, Duration::from_mins(10), Some(&facts)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bench.drain().await, 5, "the other account is not held up");
    assert_eq!(bench.drain_after(Duration::from_secs(601)).await, 20);

    enqueue(&bench, noops(bench.tenant_id, 3).into_iter().map(|job| job.on_account(parked)).collect()).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    parking::park(&mut tx, bench.tenant_id, parked, Duration::from_mins(10), Some(&facts)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bench.drain().await, 0);
    let mut tx = bench.engine.db.system().await.unwrap();
    assert_eq!(ledger::resume_accounts(&mut tx, bench.tenant_id, &[parked]).await.unwrap(), 3);
    tx.commit().await.unwrap();
    assert_eq!(bench.drain().await, 3, "released before its time");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_paused_queue_starts_nothing_even_of_what_was_released(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    enqueue(&bench, noops(bench.tenant_id, 3)).await;
    let released = release(&bench, 10, QueueLimits::default(), &mut Cursor::default()).await;
    bench
        .execute("update queues set paused_at = now() where name = 'default' and $1::uuid is not null", Uuid::nil())
        .await;
    let (worker, kinds) = (register(&bench).await, bench.engine.kind_names());
    let ids: Vec<Uuid> = released.iter().map(|job| job.id).collect();
    assert!(crate::claim(&bench.engine.db, worker, "default", &kinds, &ids).await.unwrap().is_empty());
    assert_eq!(in_window(&bench).await.len(), 0, "it left the window");
    assert_eq!(bench.drain().await, 0);
    bench
        .execute("update queues set paused_at = null where name = 'default' and $1::uuid is not null", Uuid::nil())
        .await;
    assert_eq!(bench.drain().await, 3);
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_higher_priority_runs_first(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let job = || NewJob::new(bench.tenant_id, &Noop::default());
    enqueue(&bench, vec![job().with_priority(Priority::Low), job(), job().with_priority(Priority::High)]).await;
    let worker = register(&bench).await;
    let claimed = claim_all(&bench, worker).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let mut order = Vec::new();
    for job in claimed {
        let sql = "select priority from jobs where id = $1";
        order.push(sqlx::query_scalar::<_, i16>(sql).bind(job.attempt.job_id.0).fetch_one(&mut *tx).await.unwrap());
    }
    assert_eq!(order, [1, 2, 3]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_the_system_take_their_turns_too(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let mut jobs = noops(TenantId::SYSTEM, 3);
    jobs.extend(noops(bench.tenant_id, 3));
    enqueue(&bench, jobs).await;
    let (cursor, mut released) = (&mut Cursor::default(), Vec::new());
    for _ in 0..6 {
        released.extend(release(&bench, 1, QueueLimits::default(), cursor).await.into_iter().map(|job| job.id));
    }
    let mut tx = bench.engine.db.system().await.unwrap();
    let mut tenants = Vec::new();
    for id in released {
        let sql = "select tenant_id from jobs where id = $1";
        tenants.push(sqlx::query_scalar::<_, Uuid>(sql).bind(id).fetch_one(&mut *tx).await.unwrap());
    }
    assert_eq!(tenants, [[TenantId::SYSTEM.0, bench.tenant_id.0]; 3].concat());
}
