//! Applies the migrations to a database. It uses no crate of the product, so it builds before the
//! queries are described and needs no rebuild when the product changes.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use sqlx::{Connection as _, PgConnection, migrate::Migrator};

#[derive(Debug, Parser)]
struct Config {
    /// The database: `postgres://user:password@host:port/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The folder of migrations.
    folder: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let migrator = Migrator::new(config.folder).await.context("could not read the migrations")?;
    let mut database =
        PgConnection::connect(&config.database_url).await.context("could not connect to DATABASE_URL")?;
    migrator.run(&mut database).await.context("a migration failed")?;
    database.close().await.context("could not end the session")
}
