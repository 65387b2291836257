//! The clients that jobs and the API use.

use std::sync::Arc;

use anyhow::bail;
use secrecy::ExposeSecret as _;

use crate::{
    assets::Storage,
    config::{ServicesConfig, UpkeepConfig},
    mail::Mailer,
    people::{external_login::ExternalLogin, password::Passwords},
    providers::{ai::Ai, meta::Meta},
    secrets::Keyring,
    signer::Signer,
    tenants::plans::PlansConfig,
};

/// Clients of the outside world.
#[derive(Debug, Clone)]
pub struct Services {
    /// Encrypts what is stored.
    pub keyring: Keyring,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Signs what is not stored.
    pub signer: Signer,
    /// Where pictures are.
    pub storage: Storage,
    /// Facebook.
    pub meta: Meta,
    /// The language model.
    pub ai: Ai,
    /// Sends mail.
    pub mail: Mailer,
    /// Where people sign in elsewhere.
    pub external_login: ExternalLogin,
    /// What periodic jobs keep and renew.
    pub upkeep: UpkeepConfig,
    /// What tenants may use, by their plan.
    pub plans: PlansConfig,
    public_url: Arc<str>,
}

impl Services {
    /// The clients as configured, to be shared.
    ///
    /// # Errors
    /// A key is malformed, or the storage cannot be used.
    pub fn new(config: &ServicesConfig) -> anyhow::Result<Arc<Self>> {
        let is_spread = config.dyno.is_some() || config.railway_environment_id.is_some();
        if is_spread && config.storage_url.scheme() == "file" {
            bail!("STORAGE_URL is a folder, but web and worker share no disk here: use s3://bucket?region=...");
        }
        let public_url = config.public_url.as_str().trim_end_matches('/');
        Ok(Arc::new(Self {
            keyring: config.keys.keyring()?,
            passwords: Passwords::default(),
            signer: Signer::new(config.secret_key.expose_secret())?,
            storage: Storage::open(&config.storage_url)?,
            meta: Meta::new(config.meta.clone()),
            ai: Ai::new(&config.ai),
            mail: Mailer::new(&config.mail)?,
            external_login: ExternalLogin::new(&config.external_login, public_url)?,
            upkeep: config.upkeep,
            plans: config.plans,
            public_url: public_url.into(),
        }))
    }

    /// Where people's browsers reach us, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Where Facebook sends a browser back to: the same, to the letter, in the dialog and in the exchange.
    #[must_use]
    pub fn facebook_redirect_uri(&self) -> String {
        format!("{}/api/v1/oauth/facebook/callback", self.public_url)
    }
}
