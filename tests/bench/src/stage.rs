//! Where a run takes place: a database of its own, copied from the migrated one, and keys of its own in Redis.

use std::path::PathBuf;

use anyhow::Context as _;
use jobs::engine::{Db, Window};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use url::Url;

use crate::{
    store,
    worker::{Program, Worker},
};

/// The servers, and how to start a worker.
#[derive(Debug)]
pub(crate) struct Servers {
    template_url: Url,
    redis_url: String,
    worker: PathBuf,
    logs: PathBuf,
}

/// A fresh ledger and window.
#[derive(Debug)]
pub(crate) struct Stage {
    name: String,
    template_url: Url,
    database_url: Url,
    redis_url: String,
    prefix: String,
    program: Program,
    /// The ledger, seen whole, past the engine.
    pub(crate) ledger: PgPool,
}

impl Servers {
    pub(crate) fn new(template_url: Url, redis_url: String, worker: PathBuf, logs: PathBuf) -> Self {
        Self { template_url, redis_url, worker, logs }
    }

    /// A fresh stage of that name, for one run.
    ///
    /// # Errors
    /// The database could not be made.
    pub(crate) async fn set_stage(&self, name: &str) -> anyhow::Result<Stage> {
        self.copy(name, self.template_url.path().trim_start_matches('/')).await
    }

    /// A stage that begins as the stage `like`, which was left, stands.
    ///
    /// # Errors
    /// The database could not be made.
    pub(crate) async fn set_stage_like(&self, name: &str, like: &str) -> anyhow::Result<Stage> {
        self.copy(name, &database_name(like)).await
    }

    async fn copy(&self, name: &str, template: &str) -> anyhow::Result<Stage> {
        let name = database_name(name);
        // Copied as files: a million jobs would otherwise go through the log.
        execute(&self.template_url, &format!("create database {name} template {template} strategy file_copy")).await?;
        let mut database_url = self.template_url.clone();
        database_url.set_path(&name);
        Ok(Stage {
            template_url: self.template_url.clone(),
            redis_url: self.redis_url.clone(),
            prefix: format!("{name}:"),
            program: Program { path: self.worker.clone(), log: self.logs.join(format!("{name}.log")) },
            ledger: store::connect(&database_url).await?,
            database_url,
            name,
        })
    }
}

impl Stage {
    /// Connects as an application does, with wake-ups of what is enqueued.
    ///
    /// # Errors
    /// A server cannot be reached.
    pub(crate) async fn connect(&self, connections: u32) -> anyhow::Result<Db> {
        let window = Window::open(&self.redis_url, &self.prefix)?;
        Db::connect(self.database_url.as_str(), connections, Some(window)).await
    }

    /// Starts a worker and waits until it says that it is ready.
    ///
    /// # Errors
    /// It ended, or was not ready in time.
    pub(crate) async fn start_worker(&self) -> anyhow::Result<Worker> {
        let environment = [
            ("DATABASE_URL", self.database_url.as_str()),
            ("REDIS_URL", &self.redis_url),
            ("REDIS_PREFIX", &self.prefix),
        ];
        self.program.start(&environment).await
    }

    /// Leaves the database as it is, with nobody connected, for others to begin with.
    pub(crate) async fn leave(self) {
        self.ledger.close().await;
    }

    /// Removes the database.
    ///
    /// # Errors
    /// It refused.
    pub(crate) async fn strike(self) -> anyhow::Result<()> {
        self.ledger.close().await;
        execute(&self.template_url, &format!("drop database {} with (force)", self.name)).await
    }
}

fn database_name(stage: &str) -> String {
    format!("bench_{stage}")
}

/// Runs a statement that no transaction may hold. Nothing in it comes from outside.
async fn execute(url: &Url, statement: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url.as_str()).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.with_context(|| statement.to_owned())?;
    Ok(connection.close().await?)
}
