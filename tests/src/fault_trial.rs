//! A trial of one fault. It enqueues work, causes the fault, waits until everything has ended, and
//! checks the invariants.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use jobs::{
    engine::NewJob,
    fault_probe::{FaultProbe, Probe},
    ids::{AccountId, TenantId},
    noop::Noop,
    tenants,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    TestApp, Worker,
    background_load::BackgroundLoad,
    invariants::Evidence,
    ledger, optional_setting,
    report::{Group, Measured},
};

/// A little more than the time that a worker looks for a post that the provider does not show.
const LAG_IS_OVER: Duration = Duration::from_mins(11);

/// Returns `small` under `scripts/test`, and `long` under `scripts/test --long`.
pub fn small_or_long<T>(small: T, long: T) -> T {
    if optional_setting("LINECOOK_LONG").is_some() { long } else { small }
}

/// The work to enqueue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// Posts to publish now, each with its own text.
    pub posts: usize,
    /// Jobs that do nothing.
    pub noops: usize,
    /// Jobs that do nothing and are due a little later, one after the other.
    pub later: usize,
    /// Jobs whose first attempt fails.
    pub failing: usize,
}

impl Load {
    /// Some jobs of every kind.
    pub const MIXED: Self = Self { posts: 6, noops: 20, later: 6, failing: 3 };
}

/// A trial of one fault, with its own API, database and world.
#[derive(Debug)]
pub struct FaultTrial {
    /// The API and the engine.
    pub app: TestApp,
    measured: Measured,
    account: AccountId,
    background_tenant: TenantId,
    posts: usize,
    evidence: Evidence,
    random: StdRng,
    run: Option<Run>,
}

#[derive(Debug)]
struct Run {
    begun_seconds: f64,
    background_load: BackgroundLoad,
}

impl FaultTrial {
    /// Prepares a trial. Its random numbers come from `FAULT_SEED`, if that is set.
    ///
    /// # Panics
    /// If the servers that `scripts/test` starts are not running.
    pub async fn new(pool: PgPool, group: Group, fault: &str) -> Self {
        Self::over(TestApp::new(pool).await, group, fault).await
    }

    /// Prepares a trial with an existing API. The clock of its database runs ahead, so that a post
    /// is unknown as soon as the first search does not find it.
    ///
    /// # Panics
    /// Like [`FaultTrial::new`].
    pub async fn over(mut app: TestApp, group: Group, fault: &str) -> Self {
        let seed = optional_setting("FAULT_SEED").and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
        println!("{fault}: FAULT_SEED={seed}");
        app.shift_clock(LAG_IS_OVER);
        let account = app.bench.connect_page().await;
        let mut tx = app.bench.engine.db.system().await.expect("a transaction");
        let background_tenant =
            tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", tenants::plans::Plan::Basic)
                .await
                .expect("a tenant")
                .id;
        tx.commit().await.expect("a commit");
        let measured = Measured {
            group,
            fault: fault.to_owned(),
            runs: 0,
            jobs: 0,
            lost: 0,
            duplicated: 0,
            unknown: 0,
            longest_stall_seconds: 0.0,
            crashes: 0,
        };
        let random = StdRng::seed_from_u64(seed);
        Self { app, measured, account, background_tenant, posts: 0, evidence: Evidence::default(), random, run: None }
    }

    /// Returns the tenant of the background load.
    #[must_use]
    pub fn background_tenant(&self) -> TenantId {
        self.background_tenant
    }

    /// Returns a random number.
    pub fn number(&mut self, range: RangeInclusive<u32>) -> u32 {
        let number = self.random.random_range(range);
        println!("{}: chose {number}", self.measured.fault);
        number
    }

    /// Begins a run of the fault. Work is due at all times until [`FaultTrial::settle`] ends the
    /// run.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn begin(&mut self, load: Load) {
        self.measured.runs += 1;
        let db = &self.app.bench.engine.db;
        let begun_seconds = ledger::now_seconds(db).await.expect("a time");
        let background_load = BackgroundLoad::start(db.clone(), self.background_tenant);
        self.run = Some(Run { begun_seconds, background_load });
        self.enqueue(load).await;
    }

    /// Enqueues work.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn enqueue(&mut self, load: Load) {
        let tenant = self.app.bench.tenant_id;
        let now = self.app.bench.now().await;
        let noop = || NewJob::new(tenant, &Noop::default());
        let mut jobs: Vec<NewJob> = (0..load.noops).map(|_| noop()).collect();
        jobs.extend((1..=load.later).map(|number| {
            let after_ms = u64::try_from(number).unwrap_or(0) * 300;
            noop().at(now + Duration::from_millis(after_ms))
        }));
        let failing = FaultProbe { what: Probe::Fail, ms: 0, attempts: Some(1) };
        jobs.extend((0..load.failing).map(|_| NewJob::new(tenant, &failing)));
        self.enqueue_jobs(jobs).await;
        for _ in 0..load.posts {
            self.publish().await;
        }
    }

    /// Enqueues these jobs and returns their ids.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn enqueue_jobs(&mut self, jobs: Vec<NewJob>) -> Vec<Uuid> {
        if jobs.is_empty() {
            return Vec::new();
        }
        let mut tx = self.app.bench.engine.db.system().await.expect("a transaction");
        let ids: Vec<Uuid> = tx.enqueue_all(jobs).await.expect("jobs").into_iter().map(|job| job.id.0).collect();
        tx.commit().await.expect("a commit");
        self.evidence.accepted.extend(&ids);
        ids
    }

    /// Creates a post to publish now.
    async fn publish(&mut self) {
        self.posts += 1;
        let body = json!({
            "tenant_id": self.app.bench.tenant_id, "account_ids": [self.account], "caption": format!("post {}", self.posts),
        });
        let (status, body) = self.app.post("/api/v1/posts/create", body).await;
        assert_eq!(status, 202, "{body}");
        let job = serde_json::from_value(body["job_ids"][0].clone()).expect("its job");
        self.evidence.accepted.push(job);
    }

    /// Marks an accepted job as one that must end discarded.
    pub fn dooms(&mut self, job: Uuid) {
        self.evidence.doomed.insert(job);
    }

    /// Waits until the worker has killed itself.
    ///
    /// # Panics
    /// If it ends otherwise, or not at all.
    pub async fn dies(&mut self, worker: Worker) {
        self.dies_of(worker, 9).await;
    }

    /// Waits until a signal has ended the worker.
    ///
    /// # Panics
    /// If it ends otherwise, or not at all.
    pub async fn dies_of(&mut self, worker: Worker, signal: i32) {
        assert_eq!(worker.dies().await, Some(signal), "the signal that ended the worker");
        self.measured.crashes += 1;
    }

    /// Kills a worker.
    pub async fn kill(&mut self, worker: Worker) {
        worker.kill().await;
        self.measured.crashes += 1;
    }

    /// Ends a run: waits until every job has ended or waits for a person.
    ///
    /// # Panics
    /// If it does not within `at_most`.
    pub async fn settle(&mut self, at_most: Duration) {
        let run = self.run.take().expect("`begin` was called");
        let db = self.app.bench.engine.db.clone();
        self.wait_until_ended(Some(self.background_tenant.0), at_most).await;
        self.evidence.accepted.extend(run.background_load.stop().await);
        let stopped_seconds = ledger::now_seconds(&db).await.expect("a time");
        self.wait_until_ended(None, Duration::from_mins(3)).await;
        let stall = ledger::longest_stall(&db, run.begun_seconds, stopped_seconds).await.expect("a gap");
        let longest = &mut self.measured.longest_stall_seconds;
        *longest = longest.max(stall.as_secs_f64());
    }

    async fn wait_until_ended(&self, except: Option<Uuid>, at_most: Duration) {
        let begun = Instant::now();
        loop {
            // The trial goes on waiting while the database is down.
            let open = ledger::list_open(&self.app.bench.engine.db, except).await;
            if open.as_ref().is_ok_and(Vec::is_empty) {
                return;
            }
            assert!(begun.elapsed() < at_most, "stuck after {at_most:?}: {open:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the longest time so far in which no job ended although some were due.
    #[must_use]
    pub fn longest_stall(&self) -> Duration {
        Duration::from_secs_f64(self.measured.longest_stall_seconds)
    }

    /// Checks the invariants, and returns the number of posts that wait for a person.
    ///
    /// # Panics
    /// If one is broken.
    pub async fn judge(&mut self) -> usize {
        let db = &self.app.bench.engine.db;
        self.evidence.jobs = ledger::list_jobs(db).await.expect("jobs");
        self.evidence.posts = ledger::list_posts(db).await.expect("posts");
        self.evidence.published = self.published().await;
        assert_eq!(self.evidence.posts.len(), self.posts, "every post is there");
        let findings = self.evidence.judge();
        self.measured.jobs = self.evidence.accepted.len();
        self.measured.lost = findings.lost.len();
        self.measured.duplicated = findings.duplicated.len();
        self.measured.unknown = findings.unknown.len();
        self.measured.append();
        assert!(findings.lost.is_empty() && findings.duplicated.is_empty(), "{findings:#?}");
        findings.unknown.len()
    }

    /// Checks the invariants, and that no outcome is unknown.
    ///
    /// # Panics
    /// If one is broken.
    pub async fn end(mut self) {
        assert_eq!(self.judge().await, 0, "posts whose outcome is unknown");
    }

    /// Counts how often each text is published.
    pub async fn published(&self) -> BTreeMap<String, usize> {
        let mut texts = BTreeMap::new();
        for effect in self.app.bench.sandbox.effects().await {
            *texts.entry(effect["message"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        texts
    }
}
