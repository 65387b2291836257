//! Support for tests: an engine over a database of the test's own.
//!
//! [`Bench::drain`] runs all due jobs in this process, without waiting. [`Bench::drain_after`]
//! moves the clock first.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    Db, Engine, Job, Kind, NewJob, Window, drain,
    ids::{JobId, TenantId},
    ledger, run_one,
};

/// A test bench: an engine with a tenant.
#[derive(Debug)]
pub struct Bench<S: 'static = ()> {
    /// The engine that runs jobs.
    pub engine: Engine<S>,
    /// The tenant, a restaurant.
    pub tenant_id: TenantId,
}

impl Bench {
    /// Makes a bench for jobs without services, over a migrated database.
    ///
    /// # Panics
    /// If the database cannot be used.
    pub async fn new(pool: PgPool, kinds: &'static [Kind<()>]) -> Self {
        Self::with(pool, None, Arc::new(()), kinds).await
    }
}

impl<S> Bench<S> {
    /// Makes a bench over a migrated database and inserts a tenant. Wake-ups go through `window`.
    ///
    /// # Panics
    /// If the database cannot be used.
    pub async fn with(pool: PgPool, window: Option<Window>, services: Arc<S>, kinds: &'static [Kind<S>]) -> Self {
        let mut db = Db::from_pool(pool, window).await.expect("an ordinary login");
        // A machine that is busy or paused for a moment does not fail a test.
        (db.patience, db.idle_limit) = (Duration::from_mins(1), Duration::from_mins(5));
        let engine = Engine { db, services, kinds };
        let bench = Self { engine, tenant_id: TenantId::new() };
        bench.insert_tenant(bench.tenant_id, "Krusty Pizza").await;
        bench
    }

    /// Inserts another tenant.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn insert_tenant(&self, id: TenantId, name: &str) {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        sqlx::query("insert into tenants (id, name, email, plan) values ($1, $2, 'krusty@example.com', 'pro')")
            .bind(id.0)
            .bind(name)
            .execute(&mut *tx)
            .await
            .expect("a tenant");
        tx.commit().await.expect("a commit");
    }

    /// Reads the name of the tenant, which jobs of tests write.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn tenant_name(&self) -> String {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        let name = sqlx::query_scalar("select name from tenants where id = $1").bind(self.tenant_id.0);
        name.fetch_one(&mut *tx).await.expect("a name")
    }

    /// Enqueues a job of the bench's tenant.
    ///
    /// # Panics
    /// If it cannot be enqueued.
    pub async fn enqueue<J: Job>(&self, job: &J) -> JobId {
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        let enqueued = tx.enqueue(NewJob::new(self.tenant_id, job)).await.expect("a job");
        tx.commit().await.expect("a commit");
        enqueued.id
    }

    /// Enqueues a job of the system, as the clock does.
    ///
    /// # Panics
    /// If it cannot be enqueued.
    pub async fn enqueue_for_system<J: Job>(&self, job: &J) -> JobId {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        let enqueued = tx.enqueue(NewJob::new(TenantId::SYSTEM, job)).await.expect("a job");
        tx.commit().await.expect("a commit");
        enqueued.id
    }

    /// Returns the payloads of the unfinished jobs of a kind, oldest first.
    ///
    /// # Panics
    /// If a payload is not of that kind.
    pub async fn enqueued<J: Job>(&self) -> Vec<J> {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        let payloads: Vec<Value> =
            sqlx::query_scalar("select args from jobs where kind = $1 and ended_at is null order by created_at, id")
                .bind(J::KIND)
                .fetch_all(&mut *tx)
                .await
                .expect("payloads");
        payloads.into_iter().map(|args| serde_json::from_value(args).expect("a payload of that kind")).collect()
    }

    /// Runs one attempt of one job, and no other job. Returns the job after it.
    ///
    /// # Panics
    /// If the job is not due.
    pub async fn run(&self, id: JobId) -> ledger::JobRow {
        run_one(&self.engine, id).await.expect("a job that is due");
        self.job(id).await
    }

    /// Runs all due jobs, follow-ups included. Returns the number of attempts.
    ///
    /// # Panics
    /// If it fails, or if work keeps coming.
    pub async fn drain(&self) -> usize {
        drain(&self.engine).await.expect("a drained queue")
    }

    /// Moves the database's clock and runs the jobs that are due then.
    ///
    /// # Panics
    /// As [`Bench::drain`].
    pub async fn drain_after(&self, time: Duration) -> usize {
        self.engine.db.shift_clock(time);
        self.drain().await
    }

    /// Returns the database's time, as moved.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn now(&self) -> DateTime<Utc> {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        sqlx::query_scalar("select engine_now()").fetch_one(&mut *tx).await.expect("a time")
    }

    /// Reads one job.
    ///
    /// # Panics
    /// If it does not exist.
    pub async fn job(&self, id: JobId) -> ledger::JobRow {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        ledger::get_job(&mut tx, id).await.expect("an answer").expect("a job")
    }

    /// Returns the class of a job's last failure.
    ///
    /// # Panics
    /// If the job does not exist.
    pub async fn error_class(&self, id: JobId) -> String {
        let error = self.job(id).await.error.unwrap_or_default();
        error["class"].as_str().unwrap_or_default().to_owned()
    }

    /// Retries a job as staff does.
    ///
    /// # Panics
    /// If the retry is refused.
    pub async fn retry(&self, id: JobId) {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        ledger::retry(&mut tx, id).await.expect("retried");
        tx.commit().await.expect("a commit");
    }

    /// Runs SQL that a test needs and no product code does, such as deleting a row.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn execute(&self, sql: &'static str, id: Uuid) {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        sqlx::query(sql).bind(id).execute(&mut *tx).await.expect("executed");
        tx.commit().await.expect("a commit");
    }
}
