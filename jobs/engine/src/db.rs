//! Connections to PostgreSQL. Every query runs in a transaction opened for one tenant or for the system scope.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use sqlx::{
    PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Window, begin::Begin};
use crate::ids::{JobId, TenantId};

/// The unprivileged role that transactions take on where the login could bypass row-level security. Created by whoever
/// sets up the cluster (`create role linecook_app nologin`), never by a migration: roles are cluster-wide.
const APP_ROLE: &str = "linecook_app";

/// What a transaction may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The rows of one tenant.
    Tenant(TenantId),
    /// Everything: for the engine, authentication and operators.
    System,
}

impl Scope {
    /// The scope that a job of this tenant works in.
    #[must_use]
    pub fn of(tenant_id: TenantId) -> Self {
        if tenant_id == TenantId::SYSTEM { Self::System } else { Self::Tenant(tenant_id) }
    }
}

/// A pool of connections that hands out scoped transactions only.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    takes_role: bool,
    window: Option<Arc<Window>>,
    clock_shift_ms: Arc<AtomicI64>,
}

impl Db {
    /// Connects, with wake-ups of committed jobs sent through `window`.
    ///
    /// # Errors
    /// The database cannot be reached, or the login bypasses row-level security and the role that would not is missing.
    pub async fn connect(url: &str, max_connections: u32, window: Option<Window>) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .test_before_acquire(false)
            .connect_with(session(url)?)
            .await
            .context("could not connect to DATABASE_URL")?;
        Self::from_pool(pool, window).await
    }

    /// The same over a pool that exists.
    ///
    /// # Errors
    /// As [`Db::connect`].
    pub async fn from_pool(pool: PgPool, window: Option<Window>) -> anyhow::Result<Self> {
        let login = sqlx::query!(
            r#"
            select rolsuper or rolbypassrls as "bypasses!",
              exists (select from pg_roles where rolname = $1) as "role_exists!"
            from pg_roles
            where rolname = current_user
            "#,
            APP_ROLE
        )
        .fetch_one(&pool)
        .await
        .context("could not read the login's privileges")?;
        if login.bypasses && !login.role_exists {
            bail!(
                "DATABASE_URL logs in as a role that bypasses row-level security: use an ordinary role, or run \
                 `create role {APP_ROLE} nologin` on the cluster and then `admin migrate`"
            );
        }
        Ok(Self { pool, takes_role: login.bypasses, window: window.map(Arc::new), clock_shift_ms: Arc::default() })
    }

    /// Opens a transaction that sees `scope`.
    ///
    /// # Errors
    /// No connection within ten seconds, or the database refused.
    pub async fn begin(&self, scope: Scope) -> Result<Tx, sqlx::Error> {
        self.open("begin", scope).await
    }

    /// Opens a transaction that sees `scope`, and in which PostgreSQL refuses writes.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn begin_read_only(&self, scope: Scope) -> Result<Tx, sqlx::Error> {
        self.open("begin read only", scope).await
    }

    async fn open(&self, begin: &str, scope: Scope) -> Result<Tx, sqlx::Error> {
        let role = if self.takes_role { "set local role linecook_app; " } else { "" };
        let see = match scope {
            Scope::Tenant(id) => format!("set local app.tenant = '{id}'"),
            // The statistics of the ledger are stale most of the time, and say that it is small when it is not.
            Scope::System => "set local app.scope = 'system'; set local enable_seqscan = off".to_owned(),
        };
        let shift = self.clock_shift_ms.load(Ordering::Relaxed);
        let clock = if shift == 0 { String::new() } else { format!("; set local app.clock_shift = '{shift} ms'") };
        // One message, so that neither scope nor time limits cost a round trip. Nothing in it comes from outside. Compiling a
        // statement takes half a second, and estimates of a large ledger ask for it where a millisecond is enough.
        let begin = format!(
            "{begin}; {role}{see}{clock}; set local jit = off; set local statement_timeout = '10s'; \
             set local idle_in_transaction_session_timeout = '5s'"
        );
        let inner = self.begin_with(begin).await?;
        Ok(Tx { inner, window: self.window.clone(), wakes: false, cancelled: Vec::new() })
    }

    /// Connections are not tried before they are used, which would cost every transaction a round trip; one that turns out
    /// to be broken by its first message is left for another.
    async fn begin_with(&self, begin: String) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        for _ in 0..self.pool.size() {
            match Begin::new(self.pool.clone(), begin.clone()).await {
                Err(error) if is_broken(&error) => {}
                result => return result,
            }
        }
        Begin::new(self.pool.clone(), begin).await
    }

    /// Opens a transaction that sees one tenant.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn tenant(&self, id: TenantId) -> Result<Tx, sqlx::Error> {
        self.begin(Scope::Tenant(id)).await
    }

    /// Opens a transaction that sees everything.
    ///
    /// # Errors
    /// As [`Db::begin`].
    pub async fn system(&self) -> Result<Tx, sqlx::Error> {
        self.begin(Scope::System).await
    }

    pub(super) fn window(&self) -> Option<&Arc<Window>> {
        self.window.as_ref()
    }

    /// Moves the clock that `engine_now()` reads in this process' transactions: for tests.
    pub fn shift_clock(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.clock_shift_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// The same with a connection of its own, for what must not wait for the others.
    #[must_use]
    pub fn own_connection(&self) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(2))
            .test_before_acquire(false)
            .connect_lazy_with(self.pool.connect_options().as_ref().clone());
        Self { pool, ..self.clone() }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query!("select 1 as one").fetch_one(&self.pool).await.map(|_| ())
    }

    /// Applies the migrations of the folder `migrations/` and grants the unprivileged role, where it exists, its rights.
    ///
    /// # Errors
    /// The database cannot be reached, or a migration fails; what did not apply is named.
    pub async fn migrate(url: &str) -> anyhow::Result<()> {
        let pool = PgPoolOptions::new().max_connections(1).connect_with(session(url)?);
        let pool = pool.await.context("could not connect to DATABASE_URL")?;
        sqlx::migrate!("../../migrations").run(&pool).await.context("a migration failed")?;
        sqlx::query!(
            "do $$ begin
               if exists (select from pg_roles where rolname = 'linecook_app') then
                 grant usage on schema public to linecook_app;
                 grant select, insert, update, delete on all tables in schema public to linecook_app;
               end if;
             end $$"
        )
        .execute(&pool)
        .await
        .context("could not grant the role linecook_app its rights")?;
        Ok(())
    }
}

/// How a session begins: without the setting that sqlx adds by itself, which concerns numbers as text, and which pgbouncer
/// refuses.
fn session(url: &str) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse().context("could not read DATABASE_URL")?;
    Ok(options.extra_float_digits(None))
}

/// Whether a connection broke, or was ended by the server (a restart, an administrator), rather than a statement refused.
fn is_broken(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) {
        return true;
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
}

/// A transaction in one scope. Jobs are enqueued through it, so that a job exists iff its transaction committed; what it
/// enqueued wakes the dispatcher after the commit. Dropped without a commit it rolls back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    window: Option<Arc<Window>>,
    wakes: bool,
    cancelled: Vec<JobId>,
}

impl Tx {
    /// Commits, then wakes the dispatcher if due work was enqueued, and tells workers which running jobs were cancelled.
    ///
    /// # Errors
    /// The commit failed or its answer was lost; then what was written may or may not be there.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.inner.commit().await?;
        if let Some(window) = self.window
            && (self.wakes || !self.cancelled.is_empty())
        {
            // A lost wake-up costs a second, a lost cancellation waits for the renewal; the caller does not wait for Redis.
            tokio::spawn(async move {
                if self.wakes {
                    window.wake().await;
                }
                window.cancel(&self.cancelled).await;
            });
        }
        Ok(())
    }

    /// The database's time.
    pub async fn now(&mut self) -> Result<DateTime<Utc>, sqlx::Error> {
        sqlx::query_scalar!(r#"select engine_now() as "now!""#).fetch_one(&mut *self.inner).await
    }

    pub(super) fn cancel_after_commit(&mut self, ids: impl IntoIterator<Item = JobId>) {
        self.cancelled.extend(ids);
    }

    pub(super) fn wake_after_commit(&mut self) {
        self.wakes = true;
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}
