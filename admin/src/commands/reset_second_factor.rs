//! `admin reset-second-factor`: for somebody who has lost the app and the recovery codes.

use anyhow::{Context as _, bail};
use jobs::{
    audit::Actor,
    config::KeyringConfig,
    engine::Db,
    people::{Address, second_factor, store},
};
use secrecy::ExposeSecret as _;

use super::database::DatabaseConfig;

/// The arguments of `admin reset-second-factor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    keys: KeyringConfig,
    /// The address that the person signs in with.
    #[arg(long)]
    email: String,
}

/// Removes a second factor. An operator sets up another at the next sign-in.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let keyring = config.keys.keyring()?;
    let db = Db::connect(config.database.database_url.expose_secret(), 1, None).await?;
    let mut tx = db.system().await?;
    let email = Address::parse(&config.email).context("--email")?;
    let user = store::find_by_email(&mut tx, &email).await?.context("nobody has that address")?;
    if !second_factor::reset(&mut tx, &keyring, &Actor::command_line(), user.id).await? {
        bail!("{} has no second factor", user.email);
    }
    tx.commit().await?;
    println!("{} has no second factor any more", user.email);
    Ok(())
}
