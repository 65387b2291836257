//! `admin migrate`: the schema.

use jobs::engine::Db;
use secrecy::ExposeSecret as _;

use super::database::DatabaseConfig;

/// Applies the migrations that the database does not have yet.
pub(crate) async fn run(config: DatabaseConfig) -> anyhow::Result<()> {
    Db::migrate(config.database_url.expose_secret()).await?;
    Ok(())
}
