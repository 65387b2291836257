//! Support for tests: an engine over a database of the test's own, and a world of its own in the sandbox.
//!
//! `scripts/test` starts the servers and the sandbox. Everything due is run by [`Bench::drain`], in this process and without
//! waiting; time is moved by [`Bench::drain_after`].

mod sandbox;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    assets::{
        Picture,
        store::{self as assets, NewAsset},
    },
    connections::{self, CameBack, Opened},
    engine::{Db, Engine, Job, NewJob, Window, drain, ledger, run_one},
    ids::{AccountId, AssetId, FolderId, JobId, TenantId},
    kinds::KINDS,
    providers::Provider,
    services::Services,
    tenants::{self, usage},
};

pub use self::sandbox::{Sandbox, emails_to};

/// An engine, a tenant and a world in the sandbox.
#[derive(Debug)]
pub struct Bench {
    /// Runs jobs.
    pub engine: Engine,
    /// Stands for the providers.
    pub sandbox: Sandbox,
    /// A restaurant.
    pub tenant_id: TenantId,
}

impl Bench {
    /// A bench over a migrated database, with a tenant in it.
    ///
    /// # Panics
    /// If the servers that `scripts/test` starts are not there.
    pub async fn new(pool: PgPool) -> Self {
        Self::with_window(pool, None).await
    }

    /// The same with wake-ups through Redis.
    ///
    /// # Panics
    /// As [`Bench::new`].
    pub async fn with_window(pool: PgPool, window: Option<Window>) -> Self {
        let sandbox = Sandbox::new();
        let db = Db::from_pool(pool, window).await.expect("an ordinary login");
        let services = Services::new(&sandbox.services_config()).expect("a usable configuration");
        let engine = Engine { db, services, kinds: KINDS };
        let mut tx = engine.db.system().await.expect("a transaction");
        let tenant =
            tenants::store::insert(&mut tx, "Krusty Pizza", "krusty@example.com", tenants::plans::Plan::Pro).await;
        tx.commit().await.expect("a commit");
        Self { engine, sandbox, tenant_id: tenant.expect("a tenant").id }
    }

    /// Connects the sandbox's Page by a login, as a person would.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect_page(&self) -> AccountId {
        let job = self.begin_login().await;
        self.drain().await;
        assert_eq!(self.job(job).await.state, "completed");
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        connections::store::list_accounts(&mut tx, self.tenant_id).await.expect("accounts")[0].id
    }

    /// Logs a person in at the sandbox and accepts the code; answers the job that exchanges it.
    ///
    /// # Panics
    /// If that fails.
    pub async fn begin_login(&self) -> JobId {
        self.begin_login_at(Provider::Facebook).await
    }

    /// The same at another provider.
    ///
    /// # Panics
    /// If that fails.
    pub async fn begin_login_at(&self, provider: Provider) -> JobId {
        let (db, Services { providers, keyring, .. }) = (&self.engine.db, &*self.engine.services);
        let mut tx = db.system().await.expect("a transaction");
        let ticket = connections::begin(&mut tx, self.tenant_id, provider, Duration::from_mins(10)).await;
        let opened = connections::open_ticket(&mut tx, providers, &ticket.expect("a ticket")).await;
        let Opened { request, authorize_url } = opened.expect("an answer").expect("an open ticket");
        let code = self.sandbox.log_in(authorize_url).await;
        let back = CameBack { provider, state: &request.state, browser: &request.verifier, code: &code };
        let (_, job) = connections::accept_code(&mut tx, providers, keyring, &back).await.expect("a job");
        tx.commit().await.expect("a commit");
        job.id
    }

    /// Stores a small picture.
    ///
    /// # Panics
    /// If that fails.
    pub async fn picture(&self) -> AssetId {
        self.picture_as_wide_as(640).await
    }

    /// Stores a picture that a test knows by its width.
    ///
    /// # Panics
    /// If that fails.
    pub async fn picture_as_wide_as(&self, width: u32) -> AssetId {
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(width, 480, image::Rgb([200, 90, 40]))
            .write_to(&mut png, image::ImageFormat::Png)
            .expect("a picture");
        let bytes = png.into_inner();
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        let folder = assets::insert_folder(&mut tx, self.tenant_id, &Uuid::now_v7().to_string()).await;
        let asset = NewAsset {
            id: AssetId::new(),
            tenant_id: self.tenant_id,
            folder_id: folder.expect("a folder").map_or_else(FolderId::new, |folder| folder.id),
            name: "photo.png".to_owned(),
            picture: Picture::probe(&bytes).expect("a picture"),
            size_bytes: bytes.len(),
            tags: vec!["pizza".to_owned()],
            source_asset_id: None,
        };
        let key = NewAsset::storage_key(self.tenant_id, asset.id);
        self.engine.services.storage.put(&key, bytes.into()).await.expect("storage");
        assets::insert_asset(&mut tx, &asset).await.expect("a row");
        let plans = &self.engine.services.plans;
        usage::take_image(&mut tx, plans, self.tenant_id, asset.size_bytes).await.expect("room for a picture");
        tx.commit().await.expect("a commit");
        asset.id
    }

    /// Enqueues a job of the bench's tenant.
    ///
    /// # Panics
    /// If that fails.
    pub async fn enqueue<J: Job>(&self, job: &J) -> JobId {
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        let enqueued = tx.enqueue(NewJob::new(self.tenant_id, job)).await.expect("a job");
        tx.commit().await.expect("a commit");
        enqueued.id
    }

    /// Enqueues a job of the system, as the clock does.
    ///
    /// # Panics
    /// If that fails.
    pub async fn enqueue_for_system<J: Job>(&self, job: &J) -> JobId {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        let enqueued = tx.enqueue(NewJob::new(TenantId::SYSTEM, job)).await.expect("a job");
        tx.commit().await.expect("a commit");
        enqueued.id
    }

    /// The payloads of the jobs of a kind that have not ended, oldest first: what was enqueued.
    ///
    /// # Panics
    /// If one is not of that kind.
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

    /// Runs one attempt of one job, and nothing else; answers the job after it.
    ///
    /// # Panics
    /// If it is not due.
    pub async fn run(&self, id: JobId) -> ledger::JobRow {
        run_one(&self.engine, id).await.expect("a job that is due");
        self.job(id).await
    }

    /// Runs everything that is due, follow-ups included; answers the number of attempts.
    ///
    /// # Panics
    /// If that fails, or does not end.
    pub async fn drain(&self) -> usize {
        drain(&self.engine).await.expect("a drained queue")
    }

    /// Moves the database's clock and runs what is due then.
    ///
    /// # Panics
    /// As [`Bench::drain`].
    pub async fn drain_after(&self, time: Duration) -> usize {
        self.engine.db.shift_clock(time);
        self.drain().await
    }

    /// The database's time, as moved.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn now(&self) -> DateTime<Utc> {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        sqlx::query_scalar("select engine_now()").fetch_one(&mut *tx).await.expect("a time")
    }

    /// One job.
    ///
    /// # Panics
    /// If there is none.
    pub async fn job(&self, id: JobId) -> ledger::JobRow {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        ledger::get_job(&mut tx, id).await.expect("an answer").expect("a job")
    }

    /// The class of a job's last failure.
    ///
    /// # Panics
    /// If there is no such job.
    pub async fn error_class(&self, id: JobId) -> String {
        let error = self.job(id).await.error.unwrap_or_default();
        error["class"].as_str().unwrap_or_default().to_owned()
    }

    /// Has staff retry a job.
    ///
    /// # Panics
    /// If that is refused.
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
