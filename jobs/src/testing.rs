//! Support for tests: an engine over the test's own database, and its own world in the
//! sandbox.
//!
//! `scripts/test` starts the servers and the sandbox.

mod drives;
mod sandbox;

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    assets::{
        Picture,
        store::{self as assets, NewAsset},
    },
    audit::Actor,
    connections::{self, CameBack, Opened},
    engine::{
        JobState, Window,
        queues::{self as settings, LimitChanges},
        testing,
    },
    ids::{AccountId, AssetId, FolderId, JobId, OauthStateId, TenantId},
    kinds::KINDS,
    name::Name,
    posts::{self, NewPost},
    providers::Provider,
    queues,
    services::Services,
    tenants::usage,
};

pub use self::sandbox::{Sandbox, emails_to};

/// The keys that all programs of a test share.
pub const ENCRYPTION_KEYS: &str = "test:CzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYY=";

/// The engine's bench with our jobs, and a world in the sandbox.
#[derive(Debug)]
pub struct Bench {
    bench: testing::Bench<Services>,
    /// The sandbox, which stands for the providers.
    pub sandbox: Sandbox,
}

impl Deref for Bench {
    type Target = testing::Bench<Services>;

    fn deref(&self) -> &Self::Target {
        &self.bench
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.bench
    }
}

impl Bench {
    /// Returns a bench over a migrated database, with a tenant in it.
    ///
    /// # Panics
    /// If the servers that `scripts/test` starts are not there.
    pub async fn new(pool: PgPool) -> Self {
        Self::with_window(pool, None).await
    }

    /// Returns a bench with wake-ups through Redis.
    ///
    /// # Panics
    /// As [`Bench::new`].
    pub async fn with_window(pool: PgPool, window: Option<Window>) -> Self {
        let sandbox = Sandbox::new();
        let services = Services::new(&sandbox.services_config()).expect("a usable configuration");
        let bench = Self { bench: testing::Bench::with(pool, window, services, KINDS).await, sandbox };
        bench.pace_posts(None, None).await;
        bench
    }

    /// Sets how posts follow each other on an account: how many run at once, and the seconds of
    /// rest after each. Tests publish without waiting unless they say otherwise.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn pace_posts(&self, at_once: Option<i32>, rest_seconds: Option<i32>) {
        let changes = LimitChanges {
            max_per_account: Some(at_once),
            rest_seconds: Some(rest_seconds),
            ..LimitChanges::default()
        };
        let mut tx = self.engine.db.system().await.expect("a transaction");
        settings::set_limits(&mut tx, queues::POSTING.name(), changes).await.expect("the queue");
        tx.commit().await.expect("a commit");
    }

    /// Returns a bench for another tenant of the same engine, with its own world in the
    /// sandbox.
    #[must_use]
    pub fn beside(&self, tenant_id: TenantId) -> Self {
        let bench = testing::Bench { engine: self.engine.clone(), tenant_id };
        Self { bench, sandbox: Sandbox::new() }
    }

    /// Connects the sandbox's Pages through a login, as a person would who chooses all of them.
    /// Returns the oldest account of the tenant.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect_page(&self) -> AccountId {
        let job = self.begin_login().await;
        self.drain().await;
        let job = self.job(job).await;
        assert_eq!(job.state, JobState::Completed);
        if job.result.is_some_and(|result| result["to_choose"].is_number()) {
            let login = serde_json::from_value(job.args["state_id"].clone()).expect("a login");
            self.choose_accounts(login, |_| true).await;
            self.drain().await;
        }
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        connections::store::list_accounts(&mut tx, self.tenant_id).await.expect("accounts")[0].id
    }

    /// Chooses among the accounts that a login found, by their names. Returns the chosen ones.
    ///
    /// # Panics
    /// If that fails.
    pub async fn choose_accounts(&self, login: OauthStateId, is_chosen: impl Fn(&str) -> bool) -> Vec<AccountId> {
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        let found = connections::store::list_found(&mut tx, self.tenant_id, login).await.expect("accounts");
        let chosen: Vec<Uuid> = found.iter().filter(|account| is_chosen(&account.name)).map(|it| it.id).collect();
        let (services, actor, at) = (&self.engine.services, Actor::command_line(), (self.tenant_id, login));
        let accounts = connections::choose(&mut tx, services, &actor, at, &chosen).await.expect("a choice");
        tx.commit().await.expect("a commit");
        accounts
    }

    /// Logs a person in at the sandbox, and accepts the code. Returns the job that exchanges it.
    ///
    /// # Panics
    /// If that fails.
    pub async fn begin_login(&self) -> JobId {
        self.begin_login_at(Provider::Facebook).await
    }

    /// Does the same as [`Bench::begin_login`] at another provider.
    ///
    /// # Panics
    /// If that fails.
    pub async fn begin_login_at(&self, provider: Provider) -> JobId {
        let mut tx = self.engine.db.system().await.expect("a transaction");
        let ticket = connections::begin(&mut tx, self.tenant_id, provider, None, Duration::from_mins(10)).await;
        tx.commit().await.expect("a commit");
        self.finish_login(provider, &ticket.expect("a ticket")).await
    }

    /// Opens a ticket, logs a person in at the sandbox, and accepts the code. Returns the job that
    /// exchanges it.
    ///
    /// # Panics
    /// If that fails.
    pub async fn finish_login(&self, provider: Provider, ticket: &str) -> JobId {
        let (db, Services { providers, keyring, .. }) = (&self.engine.db, &*self.engine.services);
        let mut tx = db.system().await.expect("a transaction");
        let opened = connections::open_ticket(&mut tx, providers, ticket).await;
        let Opened { request, authorize_url } = opened.expect("an answer").expect("an open ticket");
        tx.commit().await.expect("a commit");
        let code = self.sandbox.log_in(authorize_url).await;
        let mut tx = db.system().await.expect("a transaction");
        let back = CameBack { provider, state: &request.state, browser: &request.verifier, user_id: None };
        let (_, job) = connections::accept_code(&mut tx, providers, keyring, &back, &code).await.expect("a job");
        tx.commit().await.expect("a commit");
        job.id
    }

    /// A post that goes out now on an account; returns the job that publishes it.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn post(&self, caption: &str, account_id: AccountId, asset_id: Option<AssetId>) -> JobId {
        let new = NewPost { caption: caption.to_owned(), asset_id, accounts: vec![account_id] };
        let (services, actor) = (&self.engine.services, Actor::command_line());
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        let (_, jobs) = posts::create(&mut tx, services, &actor, self.tenant_id, &new).await.expect("a post");
        tx.commit().await.expect("a commit");
        jobs[0].id
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
        let name = Name::parse(&Uuid::now_v7().to_string(), 1..=200).expect("a name");
        let mut tx = self.engine.db.tenant(self.tenant_id).await.expect("a transaction");
        let folder = assets::insert_folder(&mut tx, self.tenant_id, &name).await;
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
}
