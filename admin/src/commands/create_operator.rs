//! `admin create-operator` and `remove-operator`: give staff access by a key or as a person, and
//! end it.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use jobs::{
    audit::{self, Actor, Entry},
    config::KeyringConfig,
    engine::{Db, Tx},
    ids::TenantId,
    name::Name,
    people::{
        Address, OperatorRole, recover, sessions,
        store::{self, Names, Purpose},
    },
    signer::Signer,
    tenants::{keys, permissions::Permissions},
    value_parsers::secret,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::database::DatabaseConfig;

/// The lifetime of the link to choose a password.
const LINK_LIFE: Duration = Duration::from_hours(24);

/// The arguments of `admin create-operator`.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    keys: KeyringConfig,
    /// The operator, such as a person's name.
    #[arg(long)]
    name: String,
    /// Makes an operator who signs in with this address, in place of a key; prints a link to choose
    /// a password.
    #[arg(long, requires_all = ["secret_key", "public_url"])]
    email: Option<String>,
    /// Allows reading everything and changing nothing.
    #[arg(long)]
    read_only: bool,
    /// The same value as the admin's.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true, value_parser = secret)]
    secret_key: Option<SecretString>,
    /// The same value as the admin's.
    #[arg(long, env = "PUBLIC_URL")]
    public_url: Option<Url>,
}

/// Makes a key or a person. Prints the key or the link, which are shown only once.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let name = Name::parse(&config.name, 1..=100).map_err(|rule| anyhow!("--name should have {rule}"))?;
    let keyring = config.keys.keyring()?;
    let db = Db::connect(config.database.database_url.expose_secret(), 1, None).await?;
    let mut tx = db.system().await?;
    let (entry, shown) = match &config.email {
        Some(email) => person(&mut tx, &config, &name, email).await?,
        None => key(&mut tx, &config, &name).await.context("could not store the key; was `admin migrate` run?")?,
    };
    audit::append(&mut tx, &keyring, &Actor::command_line(), &[entry]).await?;
    tx.commit().await?;
    println!("{shown}");
    Ok(())
}

/// The arguments of `admin remove-operator`.
#[derive(Debug, clap::Args)]
pub(crate) struct Removal {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    keys: KeyringConfig,
    /// The address that the person signs in with.
    #[arg(long)]
    email: String,
}

/// Ends a person's access as an operator and signs the person out everywhere. `DELETE
/// /api-keys/{id}` revokes keys.
pub(crate) async fn remove(removal: Removal) -> anyhow::Result<()> {
    let keyring = removal.keys.keyring()?;
    let db = Db::connect(removal.database.database_url.expose_secret(), 1, None).await?;
    let mut tx = db.system().await?;
    let email = Address::parse(&removal.email).context("--email")?;
    let Some(user_id) = store::end_operator(&mut tx, &email).await? else {
        bail!("nobody with that address is an operator");
    };
    sessions::revoke_all(&mut tx, user_id).await?;
    store::delete_links(&mut tx, user_id).await?;
    let entry = entry("operator.remove", "user", user_id.to_string(), json!({ "email": removal.email }));
    audit::append(&mut tx, &keyring, &Actor::command_line(), &[entry]).await?;
    tx.commit().await?;
    println!("{} is no operator any more", removal.email);
    Ok(())
}

async fn key(tx: &mut Tx, config: &Config, name: &Name) -> Result<(Entry, String), sqlx::Error> {
    let permissions = if config.read_only { Permissions::read_only() } else { Permissions::full() };
    let (row, key) = keys::insert(tx, TenantId::SYSTEM, name.as_str(), None, &permissions).await?;
    let details = json!({ "name": row.name, "prefix": row.prefix, "permissions": row.permissions });
    Ok((entry("api_key.create", "api_key", row.id.to_string(), details), key))
}

async fn person(tx: &mut Tx, config: &Config, name: &Name, email: &str) -> anyhow::Result<(Entry, String)> {
    let (Some(secret_key), Some(public_url)) = (&config.secret_key, &config.public_url) else {
        bail!("--email needs SECRET_KEY and PUBLIC_URL, as the admin has them");
    };
    let email = Address::parse(email).context("--email")?;
    let role = if config.read_only { OperatorRole::ReadOnly } else { OperatorRole::Full };
    let user_id = store::ensure(tx, &email).await.context("could not store the person; was `admin migrate` run?")?;
    store::make_operator(tx, user_id, role, Names::of(name.as_str())).await?;
    // A password that others registered for the address must not become an operator's.
    store::delete_links(tx, user_id).await?;
    let link_id = recover::insert_link(tx, user_id, LINK_LIFE).await?;
    let code = Signer::new(secret_key.expose_secret())?.code(Purpose::ResetPassword.name(), link_id);
    let link = format!("{}/reset-password/{code}", public_url.as_str().trim_end_matches('/'));
    Ok((
        entry("operator.create", "user", user_id.to_string(), json!({ "email": email.as_str(), "role": role.name() })),
        link,
    ))
}

fn entry(action: &str, object_type: &'static str, object_id: String, details: Value) -> Entry {
    Entry { tenant_id: TenantId::SYSTEM, action: action.to_owned(), object_type, object_id, details }
}
