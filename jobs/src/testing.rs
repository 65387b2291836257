//! Support for tests: an engine over a database of the test's own, and a world of its own in the sandbox.
//!
//! `scripts/test` starts the servers and the sandbox. Everything due is run by [`Bench::drain`], in this process and without
//! waiting; time is moved by [`Bench::drain_after`].

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use reqwest::header;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use url::Url;
use uuid::Uuid;

use crate::{
    assets::{
        Picture,
        store::{self as assets, NewAsset},
    },
    config::{KeyringConfig, ServicesConfig, UpkeepConfig},
    engine::{Db, Engine, Job, NewJob, Window, drain, ledger, run_one},
    ids::{AccountId, AssetId, FolderId, JobId, TenantId},
    kinds::KINDS,
    mail::MailConfig,
    oauth,
    people::outside::OutsideConfig,
    providers::{ai::AiConfig, http, meta::MetaConfig},
    services::Services,
    tenants::{self, plans::PlansConfig, usage},
};

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
        let tenant = tenants::store::insert(&mut tx, "Krusty Pizza", "krusty@example.com", "pro").await;
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
        oauth::store::list_accounts(&mut tx, self.tenant_id).await.expect("accounts")[0].id
    }

    /// Logs a person in at the sandbox and accepts the code; answers the job that exchanges it.
    ///
    /// # Panics
    /// If that fails.
    pub async fn begin_login(&self) -> JobId {
        let (db, services) = (&self.engine.db, &self.engine.services);
        let mut tx = db.system().await.expect("a transaction");
        let ticket = oauth::begin(&mut tx, self.tenant_id, Duration::from_mins(10)).await.expect("a ticket");
        let opened = oauth::open_ticket(&mut tx, &ticket).await.expect("an answer").expect("an open ticket");
        let dialog = services.meta.authorize_url(&services.facebook_redirect_uri(), opened.state.clone());
        let code = self.sandbox.log_in(dialog.expect("an address")).await;
        let (_, job) =
            oauth::accept_code(&mut tx, &services.keyring, &opened.state, &opened.browser, &code).await.expect("a job");
        tx.commit().await.expect("a commit");
        job.id
    }

    /// Stores a small picture.
    ///
    /// # Panics
    /// If that fails.
    pub async fn picture(&self) -> AssetId {
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(640, 480, image::Rgb([200, 90, 40]))
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

/// The letters that somebody got, oldest first, as a reader of mail sees them: `{"headers": {"subject": ["..."]}, "plain":
/// "...", "html": "..."}`.
///
/// # Panics
/// If `scripts/test` did not start the mail server.
#[must_use]
pub fn letters_to(address: &str) -> Vec<Value> {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
    let folder = std::env::var("MAIL_SERVER_DIR").expect("MAIL_SERVER_DIR is set: run the tests by scripts/test");
    let Ok(files) = std::fs::read_dir(std::path::Path::new(&folder).join(address)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path| serde_json::from_slice(&std::fs::read(path).expect("a letter")).expect("a letter");
    paths.into_iter().map(read).collect()
}

/// The mail server of `scripts/test`; whoever runs the sandbox without one sends no mail.
fn mail_config() -> MailConfig {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
    let url = std::env::var("MAIL_SERVER_URL").ok();
    MailConfig {
        smtp_url: url.map(SecretString::from),
        mail_from: Some("Linecook <linecook@example.com>".to_owned()),
        alert_email: Some("operators@example.com".to_owned()),
    }
}

/// A world of its own in the sandbox process.
#[derive(Debug)]
pub struct Sandbox {
    /// The world's address; the providers are below it.
    pub base: String,
    client: reqwest::Client,
    storage: Url,
}

impl Sandbox {
    /// A new world.
    ///
    /// # Panics
    /// If `scripts/test` did not start the sandbox.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default world would not be a new one")]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
        let url = std::env::var("SANDBOX_URL").expect("SANDBOX_URL is set: run the tests by scripts/test");
        let folder = std::env::temp_dir().join(format!("linecook-test-{}", Uuid::now_v7()));
        Self {
            base: format!("{url}/{}", Uuid::now_v7()),
            client: http::client(),
            storage: Url::from_directory_path(folder).expect("an absolute folder"),
        }
    }

    /// A configuration whose providers are this world.
    ///
    /// # Panics
    /// If the sandbox's address is malformed.
    #[must_use]
    pub fn services_config(&self) -> ServicesConfig {
        let url = |path: &str| Url::parse(&format!("{}/{path}", self.base)).expect("an address");
        ServicesConfig {
            keys: KeyringConfig { encryption_keys: format!("test:{}", STANDARD.encode([7; 32])).into() },
            secret_key: "a-secret-key-for-tests-and-nothing-else".into(),
            storage_url: self.storage.clone(),
            dyno: None,
            railway_environment_id: None,
            public_url: Url::parse("http://127.0.0.1:1").expect("an address"),
            upkeep: UpkeepConfig {
                job_history_days: 30,
                job_history_discarded_days: 90,
                job_history_rows: 1_000_000,
                effect_history_days: 400,
                token_refresh_threshold_days: 7,
                token_refresh_interval: Duration::from_hours(24),
            },
            // Small for those who ask for little, so that tests reach them; without end for the bench's tenant.
            plans: PlansConfig {
                post_limit_basic: 10,
                post_limit_pro: u32::MAX,
                post_limit_enterprise: u32::MAX,
                image_limit_basic: 10,
                image_limit_pro: u32::MAX,
                image_limit_enterprise: u32::MAX,
                ai_limit_basic: 10,
                ai_limit_pro: u32::MAX,
                ai_limit_enterprise: u32::MAX,
            },
            meta: MetaConfig {
                facebook_app_id: "100200300400500".to_owned(),
                facebook_app_secret: "sandbox-app-secret".into(),
                meta_graph_url: url("graph"),
                meta_dialog_url: url("facebook"),
                meta_graph_version: "v25.0".to_owned(),
            },
            ai: AiConfig {
                openai_api_key: "sk-sandbox".into(),
                openai_base_url: format!("{}/openai/v1", self.base),
                gpt_text_model: "gpt-4o".to_owned(),
            },
            mail: mail_config(),
            outside: OutsideConfig {
                google_client_id: Some("google-sandbox-app".to_owned()),
                google_client_secret: Some("google-sandbox-secret".into()),
                google_auth_url: url("google/o/oauth2/v2/auth"),
                google_token_url: url("google/token"),
                google_api_url: url("google"),
                github_client_id: Some("github-sandbox-app".to_owned()),
                github_client_secret: Some("github-sandbox-secret".into()),
                github_url: url("github"),
                github_api_url: url("github/api"),
            },
        }
    }

    /// Opens the login dialog as a person; answers the code that it sends the browser back with.
    ///
    /// # Panics
    /// If the dialog refuses.
    pub async fn log_in(&self, dialog: Url) -> SecretString {
        let answer = self.client.get(dialog).send().await.expect("the dialog answers");
        let location = answer.headers()[header::LOCATION].to_str().expect("an address");
        let url = Url::parse(location).expect("an address");
        let code = url.query_pairs().find(|(key, _)| key == "code").expect("a code").1.into_owned();
        code.into()
    }

    /// Calls the sandbox's control API.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}/control/{path}", self.base)).json(&body);
        let answer = request.send().await.expect("the sandbox answers");
        let status = answer.status();
        let body = answer.text().await.expect("an answer");
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// Has the next calls of an operation fail, as the control API's `faults` describes.
    pub async fn fault(&self, operation: &str, mut fault: Value) {
        fault["operation"] = json!(operation);
        self.control("faults", fault).await;
    }

    /// Has the next call refused by the Graph API.
    pub async fn graph_error(&self, operation: &str, code: i64, subcode: i64) {
        let error = json!({ "code": code, "subcode": subcode, "message": "refused by the test" });
        self.fault(operation, json!({ "graph_error": error })).await;
    }

    /// What was published.
    ///
    /// # Panics
    /// If the sandbox does not answer.
    pub async fn effects(&self) -> Vec<Value> {
        let answer = self.client.get(format!("{}/control/effects", self.base)).send().await;
        let list: Value = answer.expect("the sandbox answers").json().await.expect("a list");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// How often an operation was called.
    ///
    /// # Panics
    /// If the sandbox does not answer.
    pub async fn calls(&self, operation: &str) -> u64 {
        let answer = self.client.get(format!("{}/control/calls", self.base)).send().await;
        let calls: Value = answer.expect("the sandbox answers").json().await.expect("counts");
        calls["counts"][operation].as_u64().unwrap_or(0)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Ok(folder) = self.storage.to_file_path() {
            // A leftover in the temporary folder fails no test.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
