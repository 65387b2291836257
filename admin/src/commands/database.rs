//! The database that a command needs and nothing else.

use jobs::value_parsers::secret;
use secrecy::SecretString;

/// The address of the database.
#[derive(Debug, clap::Args)]
pub(crate) struct DatabaseConfig {
    /// The database: `postgres://user:password@host:port/name`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub(super) database_url: SecretString,
}
