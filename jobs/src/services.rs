//! The clients that jobs and the API use.

use std::sync::Arc;

use anyhow::{bail, ensure};
use secrecy::ExposeSecret as _;

use crate::{
    assets::Storage,
    config::{ServicesConfig, UpkeepConfig},
    connections::SharedAccounts,
    mail::Mailer,
    people::{SignUp, password::Passwords},
    providers::{Providers, ai::Ai},
    secrets::Keyring,
    signer::Signer,
    tenants::plans::PlansConfig,
};

/// The clients of external services, and the keys.
#[derive(Debug, Clone)]
pub struct Services {
    /// Encrypts stored secrets.
    pub keyring: Keyring,
    /// The people who may make an account.
    pub sign_up: SignUp,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Signs codes that are not stored.
    pub signer: Signer,
    /// The storage of pictures.
    pub storage: Storage,
    /// The providers where accounts are connected and people sign in.
    pub providers: Providers,
    /// The rule for an account that several tenants connect.
    pub shared_accounts: SharedAccounts,
    /// The language model.
    pub ai: Ai,
    /// Sends mail.
    pub mail: Mailer,
    /// The periods that periodic jobs use.
    pub upkeep: UpkeepConfig,
    /// The limits of tenants, by plan.
    pub plans: PlansConfig,
    public_url: Arc<str>,
}

impl Services {
    /// Returns the configured clients, to be shared.
    ///
    /// # Errors
    /// Returns an error if a key is malformed, or if the storage cannot be used.
    pub fn new(config: &ServicesConfig) -> anyhow::Result<Arc<Self>> {
        let is_spread = config.dyno.is_some() || config.railway_environment_id.is_some();
        if is_spread && config.storage_url.scheme() == "file" {
            bail!("STORAGE_URL is a folder, but web and worker share no disk here: use s3://bucket?region=...");
        }
        let (keyring, secret_key) = (config.keys.keyring()?, config.secret_key.expose_secret());
        ensure!(
            !keyring.holds(secret_key),
            "SECRET_KEY is one of ENCRYPTION_KEYS: make another with openssl rand -base64 48"
        );
        let public_url = config.public_url.as_str().trim_end_matches('/');
        Ok(Arc::new(Self {
            keyring,
            sign_up: config.people.sign_up,
            passwords: Passwords::default(),
            signer: Signer::new(secret_key)?,
            storage: Storage::open(&config.storage_url)?,
            providers: Providers::new(&config.providers, public_url)?
                .sign_in_with(config.people.sign_in_with.as_ref())?,
            shared_accounts: config.connections.shared_accounts,
            ai: Ai::new(&config.ai),
            mail: Mailer::new(&config.mail)?,
            upkeep: config.upkeep,
            plans: config.plans,
            public_url: public_url.into(),
        }))
    }

    /// Returns the address at which browsers reach us, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ENCRYPTION_KEYS, Sandbox};

    #[tokio::test]
    async fn a_secret_key_that_is_an_encryption_key_stops_the_start() {
        let mut config = Sandbox::new().services_config();
        let key = ENCRYPTION_KEYS.split_once(':').expect("an id").1;
        for secret_key in [key, ENCRYPTION_KEYS] {
            config.secret_key = secret_key.into();
            let error = Services::new(&config).unwrap_err().to_string();
            assert!(error.contains("SECRET_KEY") && !error.contains(key), "{error}");
        }
    }
}
