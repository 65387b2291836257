//! Tests of isolation and of jobs through pgbouncer.

use std::time::Duration;

use jobs::{
    engine::{Db, NewJob},
    noop::Noop,
};
use sqlx::postgres::PgPoolOptions;
use tests::{
    TestApp,
    pooler::{Mode, Pooler},
    servers::PrivatePostgres,
};

use crate::soak::{CONNECTIONS, TRANSACTIONS, soak};

/// Runs the soak with short-lived clients, so that pgbouncer gives the connections of one to
/// another.
async fn soak_through(mode: Mode) {
    if !mode.is_possible() {
        println!("skipped: this pgbouncer is too old for {mode:?}");
        return;
    }
    let postgres = PrivatePostgres::start(60).await;
    // There are fewer connections than clients if clients take turns by the transaction.
    let connections = match mode {
        Mode::Session => CONNECTIONS,
        Mode::Transaction => CONNECTIONS / 2,
    };
    let pooler = Pooler::start(&postgres, mode, connections).await;
    let clients = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .max_lifetime(Duration::from_millis(500));
    soak(clients.connect_with(pooler.options()).await.unwrap(), postgres.pool().await, TRANSACTIONS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_others_is_seen_through_pgbouncer_by_session() {
    soak_through(Mode::Session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_others_is_seen_through_pgbouncer_by_transaction() {
    soak_through(Mode::Transaction).await;
}

async fn run_jobs_through(mode: Mode) {
    if !mode.is_possible() {
        println!("skipped: this pgbouncer is too old for {mode:?}");
        return;
    }
    let postgres = PrivatePostgres::start(60).await;
    let pooler = Pooler::start(&postgres, mode, 30).await;
    let mut app = TestApp::new(postgres.pool().await).await;
    app.database_url.clone_from(&pooler.url);
    if let Mode::Session = mode {
        // Migrating takes a lock that belongs to the session.
        app.admin(&["migrate"]).await;
    }
    let worker = app.worker(&[]).await;
    let db = Db::connect(&pooler.url, 2, None).await.unwrap();
    let mut tx = db.tenant(app.bench.tenant_id).await.unwrap();
    tx.enqueue_all(vec![NewJob::new(app.bench.tenant_id, &Noop::default()); 200]).await.unwrap();
    tx.commit().await.unwrap();
    app.wait_until_all("noop", "completed", Duration::from_mins(1)).await;
    assert_eq!(app.count_jobs("noop").await, [("completed".to_owned(), 200)]);
    let (code, _) = worker.terminate().await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn jobs_run_through_pgbouncer_by_session() {
    run_jobs_through(Mode::Session).await;
}

#[tokio::test]
async fn jobs_run_through_pgbouncer_by_transaction() {
    run_jobs_through(Mode::Transaction).await;
}
