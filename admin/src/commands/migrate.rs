//! `admin migrate`: applies the migrations, and converts the data that a migration in SQL cannot
//! convert.

use jobs::{
    engine::Db,
    people::address::{Unconverted, renew_stored},
    value_parsers::secret,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::database::DatabaseConfig;

/// The settings of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(flatten)]
    database: DatabaseConfig,
    /// The database, with the login that owns the tables. It is needed if the programs' login does
    /// not own them, so that they cannot switch off the guards of the audit log.
    #[arg(long, env = "MIGRATE_DATABASE_URL", hide_env_values = true, value_parser = secret)]
    migrate_database_url: Option<SecretString>,
}

/// Applies the migrations that the database does not have yet.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let url = config.migrate_database_url.filter(|url| !url.expose_secret().is_empty());
    let url = url.unwrap_or(config.database.database_url);
    let url = url.expose_secret();
    Db::migrate(url).await?;
    let db = Db::connect(url, 1, None).await?;
    let mut tx = db.system().await?;
    let left = renew_stored(&mut tx).await?;
    tx.commit().await?;
    for Unconverted { table, id, reason } in left {
        eprintln!("the address of the row {id} of {table} stays as it is and gets no mail: {reason}");
    }
    Ok(())
}
