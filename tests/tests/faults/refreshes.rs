//! Tests of refreshes in several processes, at a provider that ends a grant if a refresh token is
//! used twice.

use jobs::{
    connections::{RefreshToken, RefreshTokens},
    engine::NewJob,
    fault_probe::TokenProbe,
    ids::TokenId,
    testing::Bench,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, Worker, fault_trial::small_or_long, until};

use crate::TWO_MINUTES;

/// So few that the callers need all four processes while the call lasts.
const SLOTS: &str = "posting:10,oauth:10,default:50";

async fn worker(app: &TestApp) -> Worker {
    let drive = ("LINECOOK_SANDBOX_DRIVE", app.bench.sandbox.base.as_str());
    let alerts = ("ALERT_EMAIL", "operators@example.com");
    app.worker(&[drive, alerts, ("WORKER_LEASE_SECONDS", "3"), ("WORKER_QUEUES", SLOTS)]).await
}

/// Returns what the sandbox counted: of one operation.
async fn counted(bench: &Bench, what: &str, operation: &str) -> u64 {
    bench.sandbox.observe("calls").await[what][operation].as_u64().unwrap_or(0)
}

async fn outcomes(bench: &Bench) -> Vec<(String, i64)> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select outcome, count(*) from token_refresh_history group by outcome order by outcome";
    sqlx::query_as(sql).fetch_all(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn many_callers_refresh_a_token_once(pool: PgPool) {
    const CALLERS: u32 = 200;
    let mut app = TestApp::new(pool).await;
    app.bench.use_drive();
    let bench = &app.bench;
    let token_id = bench.connect_drives(1, 0).await[0];
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(worker(&app).await);
    }
    // The call lasts until the callers of all processes are there.
    bench.sandbox.fault("drive_token", json!({ "delay_ms": 4_000 })).await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let probes = (0..CALLERS).map(|number| NewJob::new(bench.tenant_id, &TokenProbe { token_id, number }));
    tx.enqueue_all(probes.collect()).await.unwrap();
    tx.commit().await.unwrap();
    app.wait_until_all("token_probe", "completed", TWO_MINUTES).await;
    assert_eq!(app.count_jobs("token_probe").await, [("completed".to_owned(), i64::from(CALLERS))]);
    assert_eq!(counted(bench, "counts", "drive_token").await, 1);
    let grants = bench.sandbox.observe("grants").await;
    assert_eq!((&grants["items"][0]["refreshes"], &grants["items"][0]["is_ended"]), (&json!(1), &json!(false)));
    let mut tx = bench.engine.db.system().await.unwrap();
    let processes: i64 =
        sqlx::query_scalar("select count(distinct worker_id) from job_history where kind = 'token_probe'")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    assert!(processes > 1, "one process had all callers");
    for worker in workers {
        worker.terminate().await;
    }
}

/// Waits until a statement of somebody else waits for a lock.
async fn somebody_waits(bench: &Bench) {
    until("somebody waits for the row", TWO_MINUTES, async || {
        let mut tx = bench.engine.db.system().await.unwrap();
        let waits = "select exists (select from pg_locks where not granted and locktype in ('tuple', 'transactionid'))";
        sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut *tx).await.unwrap().then_some(())
    })
    .await;
}

/// A worker dies between the provider's reply and the commit of it.
#[sqlx::test(migrations = "../migrations")]
async fn a_reply_that_a_killed_process_took_with_it_ends_with_an_alert(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    app.bench.use_drive();
    let bench = &app.bench;
    let token_id: TokenId = bench.connect_drives(1, 0).await[0];
    let first = worker(&app).await;
    bench.sandbox.fault("drive_token", json!({ "delay_ms": 1_000 })).await;
    bench.enqueue(&RefreshToken { token_id }).await;
    until("the call is under way", TWO_MINUTES, async || {
        (counted(bench, "counts", "drive_token").await == 1).then_some(())
    })
    .await;
    let mut lock = bench.engine.db.system().await.unwrap();
    sqlx::query("select from oauth_tokens where id = $1 for update")
        .bind(token_id.0)
        .execute(&mut *lock)
        .await
        .unwrap();
    somebody_waits(bench).await;
    first.kill().await;
    drop(lock);
    // Its claim ends with time.
    bench.execute("update oauth_tokens set refresh_claimed_until = clock_timestamp() where id = $1", token_id.0).await;
    let second = worker(&app).await;
    app.wait_until_all("refresh_token", "discarded", TWO_MINUTES).await;
    assert_eq!(counted(bench, "counts", "drive_token").await, 2, "once by each process");
    let account: Value = app.get(&format!("/api/v1/tenants/{}/accounts", bench.tenant_id)).await;
    assert_eq!(account["items"][0]["status"], "needs_reauth", "{account}");
    assert_eq!(outcomes(bench).await, [("interrupted".to_owned(), 1), ("needs_reauth".to_owned(), 1)]);
    let alert = until("the operators are told", TWO_MINUTES, async || {
        jobs::testing::emails_to("operators@example.com")
            .into_iter()
            .find(|email| email.to_string().contains(&token_id.to_string()))
    })
    .await;
    assert!(alert.to_string().contains("A connection was lost"), "{alert}");
    second.terminate().await;
}

/// Many tokens end within a minute. Few are refreshed at once, and posts go out meanwhile.
#[sqlx::test(migrations = "../migrations")]
async fn many_refreshes_go_few_at_once_and_no_post_waits_for_them(pool: PgPool) {
    let tokens = small_or_long(500_usize, 10_000);
    let mut app = TestApp::new(pool).await;
    app.bench.use_drive();
    let bench = &app.bench;
    let page = bench.connect_page().await;
    bench.connect_drives(tokens, 60).await;
    let lately = "update oauth_tokens set refreshed_at = now() - interval '2 days' where tenant_id = $1";
    bench.execute(lately, bench.tenant_id.0).await;
    bench.sandbox.fault("drive_token", json!({ "delay_ms": 40, "times": tokens })).await;
    let sweep = bench.enqueue_for_system(&RefreshTokens::default()).await;
    bench.run(sweep).await;
    let workers = [worker(&app).await, worker(&app).await];
    until("refreshes are under way", TWO_MINUTES, async || {
        (counted(bench, "counts", "drive_token").await > 0).then_some(())
    })
    .await;
    for number in 0..20 {
        bench.post(&format!("Pizza {number}"), page, None).await;
    }
    app.wait_until_all("publish_post", "completed", TWO_MINUTES).await;
    let refreshed = counted(bench, "counts", "drive_token").await;
    assert!(refreshed < tokens as u64, "the posts waited for {refreshed} refreshes");
    app.wait_until_all("refresh_token", "completed", TWO_MINUTES * small_or_long(1, 10)).await;
    assert_eq!(outcomes(bench).await, [("refreshed".to_owned(), i64::try_from(tokens).unwrap())]);
    let most = counted(bench, "most_at_once", "drive_token").await;
    assert!((2..=5).contains(&most), "{most} at once");
    for worker in workers {
        worker.terminate().await;
    }
}
