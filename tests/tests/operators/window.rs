//! Tests of the window in Redis: a command rebuilds it, and lost jobs return by themselves.

use std::time::{Duration, Instant};

use jobs::{
    engine::{Window, rebuild},
    fault_probe::{FaultProbe, Probe},
    noop::Noop,
};
use redis::AsyncCommands as _;
use serde_json::json;
use sqlx::PgPool;
use tests::{TestApp, setting};
use uuid::Uuid;

struct Redis {
    connection: redis::aio::MultiplexedConnection,
    key: String,
}

impl Redis {
    async fn of(app: &TestApp, queue: &str) -> Self {
        let client = redis::Client::open(setting("REDIS_URL")).unwrap();
        let minute = Duration::from_mins(1);
        let patient =
            redis::AsyncConnectionConfig::new().set_response_timeout(Some(minute)).set_connection_timeout(Some(minute));
        let connection = client.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
        Self { connection, key: format!("{}window:{queue}", app.redis_prefix) }
    }

    async fn count(&mut self) -> usize {
        self.connection.zcard(&self.key).await.unwrap()
    }

    async fn remove(&mut self) {
        let _: () = self.connection.del(&self.key).await.unwrap();
    }
}

/// Enqueues jobs that the ledger has as dispatched. No process runs that would take them.
async fn dispatched(app: &TestApp, count: usize) {
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "copies": count });
    assert_eq!(app.post("/api/v1/jobs", body).await.0, 202);
    app.bench
        .execute("update jobs set dispatched_at = engine_stamp() where tenant_id = $1", app.bench.tenant_id.0)
        .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rebuilt_window_holds_what_is_dispatched_and_nothing_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut redis = Redis::of(&app, "default").await;
    dispatched(&app, 1_500).await;
    let window = Window::open(&setting("REDIS_URL"), &app.redis_prefix).unwrap();
    let stray: [u8; 16] = *Uuid::now_v7().as_bytes();
    let _: () = redis.connection.zadd(&redis.key, &stray, 1).await.unwrap();
    for removed in [1, 1_500] {
        let rebuilt = rebuild(&app.bench.engine.db, &window).await.unwrap();
        let default = rebuilt.iter().find(|queue| queue.queue == "default").unwrap();
        assert_eq!((default.removed, default.pushed), (removed, 1_500));
        assert_eq!(redis.count().await, 1_500);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_command_rebuilds_says_how_much_and_is_written_down(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut redis = Redis::of(&app, "default").await;
    dispatched(&app, 3).await;
    let output = app.admin(&["rebuild-queue"]).await;
    assert!(output.contains("default: removed 0, pushed 3"), "{output}");
    assert_eq!(redis.count().await, 3);
    let log = app.get("/api/v1/audit-log").await;
    let entry = &log["items"][0];
    assert_eq!((&entry["action"], &entry["actor_name"]), (&json!("window.rebuild"), &json!("command line")));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_redis_lost_is_in_the_window_again_by_itself(pool: PgPool) {
    let app = TestApp::new(pool).await;
    // The only slot is taken for long, so that nobody pops or claims what is in the window.
    let _worker = app.worker(&[("WORKER_QUEUES", "default:1")]).await;
    let mut redis = Redis::of(&app, "default").await;
    for _ in 0..2 {
        app.bench.enqueue(&FaultProbe { what: Probe::Sleep, ms: 20_000, attempts: None }).await;
    }
    app.wait_until_some("fault_probe", "executing", 1).await;
    let begun = Instant::now();
    for _ in 0..2 {
        while redis.count().await == 0 {
            assert!(begun.elapsed() < Duration::from_mins(1), "the second job is in the window");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        redis.remove().await;
    }
    assert_eq!(app.count_jobs("fault_probe").await, [("available".to_owned(), 1), ("executing".to_owned(), 1)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_redis_lost_everything_all_work_is_done(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut redis = Redis::of(&app, "default").await;
    let _worker = app.worker(&[("WORKER_QUEUES", "default:4")]).await;
    for _ in 0..20 {
        app.bench.enqueue(&Noop::default()).await;
        redis.remove().await;
    }
    app.wait_until_all("noop", "completed", Duration::from_mins(1)).await;
}
