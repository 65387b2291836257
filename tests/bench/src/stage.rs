//! The stage of a run: a database copied from the migrated one, and a key prefix in Redis.

use std::path::PathBuf;

use anyhow::Context as _;
use jobs::engine::{Db, Window};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use url::Url;

use crate::{
    store,
    worker::{Program, Worker},
};

/// The servers, and the program to start as a worker.
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
    /// A connection pool of the ledger that sees all tenants and bypasses the engine.
    pub(crate) ledger: PgPool,
}

impl Servers {
    pub(crate) fn new(template_url: Url, redis_url: String, worker: PathBuf, logs: PathBuf) -> Self {
        Self { template_url, redis_url, worker, logs }
    }

    /// Creates a fresh stage of that name, for one run.
    pub(crate) async fn set_stage(&self, name: &str) -> anyhow::Result<Stage> {
        self.copy(name, self.template_url.path().trim_start_matches('/')).await
    }

    /// Creates a stage as a copy of the stage `like`, which nobody uses any more.
    pub(crate) async fn set_stage_like(&self, name: &str, like: &str) -> anyhow::Result<Stage> {
        self.copy(name, &database_name(like)).await
    }

    async fn copy(&self, name: &str, template: &str) -> anyhow::Result<Stage> {
        let name = database_name(name);
        // The copy is made of files: a million jobs would otherwise go through the log.
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
    /// Connects as an application does, with wake-ups for enqueued jobs.
    pub(crate) async fn connect(&self, connections: u32) -> anyhow::Result<Db> {
        let window = Window::open(&self.redis_url, &self.prefix)?;
        Db::connect(self.database_url.as_str(), connections, Some(window)).await
    }

    /// Starts a worker and waits until it is ready.
    pub(crate) async fn start_worker(&self) -> anyhow::Result<Worker> {
        let environment = [
            ("DATABASE_URL", self.database_url.as_str()),
            ("REDIS_URL", &self.redis_url),
            ("REDIS_PREFIX", &self.prefix),
        ];
        self.program.start(&environment).await
    }

    /// Closes the connections and leaves the database for others to copy.
    pub(crate) async fn leave(self) {
        self.ledger.close().await;
    }

    /// Drops the database.
    pub(crate) async fn strike(self) -> anyhow::Result<()> {
        self.ledger.close().await;
        execute(&self.template_url, &format!("drop database {} with (force)", self.name)).await
    }
}

fn database_name(stage: &str) -> String {
    format!("bench_{stage}")
}

/// Runs a statement that cannot run in a transaction. No part of it comes from outside.
async fn execute(url: &Url, statement: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url.as_str()).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.with_context(|| statement.to_owned())?;
    Ok(connection.close().await?)
}
