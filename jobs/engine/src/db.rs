//! Connections to PostgreSQL. Every query runs in a transaction that was opened for one tenant or
//! for the system scope.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use sqlx::{
    PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use tokio::time::timeout;

use super::{Window, begin::Begin};
use crate::ids::{JobId, TenantId};

/// The unprivileged role of transactions if the login could bypass row-level security. An
/// administrator creates it (`create role linecook_app nologin`), not a migration: roles belong to
/// the whole cluster.
const APP_ROLE: &str = "linecook_app";

/// The longest time that a transaction may take to begin, unless the program sets another.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest time that a transaction may wait for its next statement.
const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// The rows that a transaction may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The rows of one tenant.
    Tenant(TenantId),
    /// Everything: for the engine, authentication and operators.
    System,
}

impl Scope {
    /// Returns the scope that a job of this tenant works in.
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
    /// The longest time that a transaction may take to begin.
    pub(crate) patience: Duration,
    /// The longest time that a transaction may wait for its next statement: then PostgreSQL ends
    /// it.
    pub(crate) idle_limit: Duration,
    window: Option<Arc<Window>>,
    clock_shift_ms: Arc<AtomicI64>,
}

impl Db {
    /// Connects. Wake-ups for committed jobs are sent through `window`.
    ///
    /// # Errors
    /// The database cannot be reached, or the login bypasses row-level security and the role
    /// `linecook_app` is missing.
    pub async fn connect(url: &str, max_connections: u32, window: Option<Window>) -> anyhow::Result<Self> {
        Self::connect_within(PATIENCE, url, max_connections, window).await
    }

    /// Connects with another `patience`: the longest time that a transaction may take to begin.
    ///
    /// # Errors
    /// As [`Db::connect`].
    pub async fn connect_within(
        patience: Duration,
        url: &str,
        max_connections: u32,
        window: Option<Window>,
    ) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(patience)
            .test_before_acquire(false)
            .connect_lazy_with(session(url)?);
        open_first(&pool).await.context("could not connect to DATABASE_URL")?;
        Ok(Self { patience, ..Self::from_pool(pool, window).await? })
    }

    /// Uses an existing pool.
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
        Ok(Self {
            pool,
            takes_role: login.bypasses,
            patience: PATIENCE,
            idle_limit: IDLE_LIMIT,
            window: window.map(Arc::new),
            clock_shift_ms: Arc::default(),
        })
    }

    /// Opens a transaction that sees `scope`. Fails if it does not begin within the pool's
    /// patience.
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
            // The statistics of the ledger are often stale and say that it is small.
            Scope::System => "set local app.scope = 'system'; set local enable_seqscan = off".to_owned(),
        };
        let shift = self.clock_shift_ms.load(Ordering::Relaxed);
        let clock = if shift == 0 { String::new() } else { format!("; set local app.clock_shift = '{shift} ms'") };
        // All settings go in one message, to save round trips. It contains nothing from outside.
        // Compilation is off because it takes half a second, and estimates of a large ledger
        // suggest it even for statements of a millisecond.
        let begin = format!(
            "{begin}; {role}{see}{clock}; set local jit = off; set local statement_timeout = '10s'; \
             set local idle_in_transaction_session_timeout = {}",
            self.idle_limit.as_millis()
        );
        // A server that hangs responds neither on a new connection nor on an old one.
        let inner = timeout(self.patience, self.begin_with(begin)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        Ok(Tx { inner, window: self.window.clone(), wakes: false, cancelled: Vec::new() })
    }

    /// Starts a transaction, and tries another connection if the first message shows that one is
    /// broken. Testing connections beforehand would cost each transaction a round trip.
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
    pub async fn tenant(&self, id: TenantId) -> Result<Tx, sqlx::Error> {
        self.begin(Scope::Tenant(id)).await
    }

    /// Opens a transaction that sees everything.
    pub async fn system(&self) -> Result<Tx, sqlx::Error> {
        self.begin(Scope::System).await
    }

    pub(super) fn window(&self) -> Option<&Arc<Window>> {
        self.window.as_ref()
    }

    /// Moves the clock that `engine_now()` reads in this process' transactions. For tests.
    pub fn shift_clock(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.clock_shift_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Returns the same database over a separate connection, for work that must not wait for
    /// others.
    #[must_use]
    pub fn own_connection(&self) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(2))
            .test_before_acquire(false)
            .connect_lazy_with(self.pool.connect_options().as_ref().clone());
        Self { pool, ..self.clone() }
    }

    /// Checks that the database responds.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        let answer = sqlx::query!("select 1 as one").fetch_one(&self.pool);
        timeout(self.patience, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|_| ())
    }

    /// Applies the migrations in `migrations/`, and grants rights to the unprivileged role if it
    /// exists.
    ///
    /// # Errors
    /// The database cannot be reached, or a migration fails. The error names the migration.
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

/// Opens the first connection of a pool. The start of a process may wait longer for it than a
/// transaction does, because many processes may start at once.
async fn open_first(pool: &PgPool) -> Result<(), sqlx::Error> {
    let begun = Instant::now();
    loop {
        match pool.acquire().await {
            Err(sqlx::Error::PoolTimedOut) if begun.elapsed() < PATIENCE => {}
            opened => return opened.map(drop),
        }
    }
}

/// Returns the options of a session. They omit a setting that sqlx adds by default and that
/// pgbouncer refuses.
fn session(url: &str) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse().context("could not read DATABASE_URL")?;
    Ok(options.extra_float_digits(None))
}

/// Returns true if the connection broke or the server ended it (restart, administrator), and false
/// if only a statement failed.
fn is_broken(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) {
        return true;
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
}

/// A transaction in one scope. Jobs are enqueued through it, so that a job exists if and only if
/// its transaction committed. A commit wakes the dispatcher if due jobs were enqueued. Dropping it
/// rolls back.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    window: Option<Arc<Window>>,
    wakes: bool,
    cancelled: Vec<JobId>,
}

impl Tx {
    /// Commits. Then wakes the dispatcher if due jobs were enqueued, and tells workers which
    /// running jobs were cancelled.
    ///
    /// # Errors
    /// The commit failed, or only its response was lost: the writes may or may not be there. Repeat
    /// only what is idempotent.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.inner.commit().await?;
        if let Some(window) = self.window
            && (self.wakes || !self.cancelled.is_empty())
        {
            // Not awaited: the caller should not wait for Redis. A lost wake-up costs a second, and
            // a lost cancellation waits for the renewal of the lease.
            tokio::spawn(async move {
                if self.wakes {
                    window.wake().await;
                }
                window.cancel(&self.cancelled).await;
            });
        }
        Ok(())
    }

    /// Returns the database's time.
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
