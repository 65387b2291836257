//! Health: work that nobody takes shows, and what rightly waits does not.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use sqlx::PgPool;
use uuid::Uuid;

use super::{NOOPS, Noop, claim_all};
use crate::{
    NewJob,
    ids::{TenantId, WorkerId},
    lease,
    stats::{self, Trouble},
    testing::Bench,
};

async fn troubles(bench: &Bench) -> Vec<(String, Trouble)> {
    let mut tx = bench.engine.db.system().await.unwrap();
    stats::find_troubles(&mut tx).await.unwrap()
}

fn default(trouble: Trouble) -> Vec<(String, Trouble)> {
    vec![("default".to_owned(), trouble)]
}

/// A worker with so many slots.
async fn worker(bench: &Bench, slots: usize) -> WorkerId {
    let registration = lease::Registration {
        name: "test".to_owned(),
        queues: BTreeMap::from([("default", slots)]),
        kinds: bench.engine.kind_names(),
        lease: Duration::from_mins(1),
    };
    lease::register(&bench.engine.db, &registration).await.unwrap()
}

async fn enqueue_for(bench: &Bench, tenant_id: TenantId, count: usize) {
    let mut tx = bench.engine.db.system().await.unwrap();
    tx.enqueue_all(vec![NewJob::new(tenant_id, &Noop::default()); count]).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../../migrations")]
async fn scheduled_work_without_a_worker_shows_before_and_after_its_time(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let at = bench.now().await + TimeDelta::minutes(10);
    let mut tx = bench.engine.db.system().await.unwrap();
    tx.enqueue(NewJob::new(bench.tenant_id, &Noop::default()).at(at)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(troubles(&bench).await, []);
    for minutes in [6, 30] {
        bench.engine.db.shift_clock(Duration::from_mins(minutes));
        assert_eq!(troubles(&bench).await, default(Trouble::Nobody));
    }
    let mut tx = bench.engine.db.system().await.unwrap();
    let latency = stats::oldest_due(&mut tx).await.unwrap()["default"];
    assert_eq!(latency.as_secs() / 60, 26, "since its time, though nobody promoted it");
    worker(&bench, 2).await;
    assert_eq!(troubles(&bench).await, default(Trouble::NotPromoted));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_leader_that_promotes_nothing_shows(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    let (db, leader) = (&bench.engine.db, worker(&bench, 2).await);
    assert!(crate::dispatch::lead(db, leader, Duration::from_secs(4), true).await.unwrap().0);
    enqueue_for(&bench, bench.tenant_id, 1).await;
    assert_eq!(troubles(&bench).await, []);
    let long_ago = "update leadership set promoted_at = now() - interval '2 minutes' where holder = $1";
    bench.execute(long_ago, leader.0).await;
    assert_eq!(troubles(&bench).await, default(Trouble::NotPromoted));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_hangs_hides_no_standstill_and_what_a_limit_holds_back_is_none(pool: PgPool) {
    let bench = Bench::new(pool, NOOPS).await;
    bench
        .execute("update queues set shares_slots = true where name = 'default' and $1::uuid is not null", Uuid::nil())
        .await;
    let worker = worker(&bench, 2).await;
    enqueue_for(&bench, bench.tenant_id, 1).await;
    assert_eq!(claim_all(&bench, worker).await.len(), 1, "it hangs");
    enqueue_for(&bench, bench.tenant_id, 5).await;
    bench.engine.db.shift_clock(Duration::from_mins(2));
    assert_eq!(troubles(&bench).await, [], "its tenant has half of the slots");
    let other = TenantId::new();
    bench.insert_tenant(other, "Hults Cafe").await;
    enqueue_for(&bench, other, 1).await;
    assert_eq!(troubles(&bench).await, [], "it has just come");
    bench.engine.db.shift_clock(Duration::from_mins(2));
    assert_eq!(troubles(&bench).await, default(Trouble::Standstill));
}
