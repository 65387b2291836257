//! The clients that jobs and the API use.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;

use crate::{
    assets::Storage,
    config::{ServicesConfig, UpkeepConfig},
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
    /// Signs what is not stored.
    pub signer: Signer,
    /// Where pictures are.
    pub storage: Storage,
    /// Facebook.
    pub meta: Meta,
    /// The language model.
    pub ai: Ai,
    /// What periodic jobs keep and renew.
    pub upkeep: UpkeepConfig,
    /// What tenants may use, by their plan.
    pub plans: PlansConfig,
    redirect_base: Arc<str>,
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
        Ok(Arc::new(Self {
            keyring: Keyring::parse(config.encryption_keys.expose_secret())
                .context("ENCRYPTION_KEYS should look like id:base64,id:base64 with 32 bytes in each base64")?,
            signer: Signer::new(config.secret_key.expose_secret())?,
            storage: Storage::open(&config.storage_url)?,
            meta: Meta::new(config.meta.clone()),
            ai: Ai::new(&config.ai),
            upkeep: config.upkeep,
            plans: config.plans,
            redirect_base: config.public_url.as_str().trim_end_matches('/').into(),
        }))
    }

    /// Where Facebook sends a browser back to: the same, to the letter, in the dialog and in the exchange.
    #[must_use]
    pub fn facebook_redirect_uri(&self) -> String {
        format!("{}/api/v1/oauth/facebook/callback", self.redirect_base)
    }
}
