//! What can be done with a provider, and which providers are set up.

use std::{collections::BTreeMap, sync::Arc};

use super::{Connector, LIST, NotOffered, OauthClient, Provider, ProvidersConfig, Publisher, SignIn};

/// A provider that this version can talk to, whether or not it is set up.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// Which one.
    pub provider: Provider,
    /// What people log in there for.
    pub purpose: Purpose,
    /// The setting without which it is not offered.
    pub setting: &'static str,
    /// Makes its clients; browsers come back to the address given. `None` if it is not set up.
    pub(super) set_up: fn(&ProvidersConfig, String) -> anyhow::Result<Option<Integration>>,
}

/// What people log in at a provider for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To connect accounts.
    Connect,
    /// To sign in here.
    SignIn,
}

impl Listing {
    /// Where the provider sends a browser back to.
    fn redirect_uri(&self, public_url: &str) -> String {
        let name = self.provider.name();
        match self.purpose {
            Purpose::Connect => format!("{public_url}/api/v1/oauth/{name}/callback"),
            Purpose::SignIn => format!("{public_url}/sign-in/{name}/callback"),
        }
    }
}

/// A provider that is set up: what can be done there, by what does it.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Which one.
    pub provider: Provider,
    /// People log in there.
    pub oauth: Option<OauthClient>,
    /// Accounts are connected.
    pub connector: Option<Arc<dyn Connector>>,
    /// Posts go out there.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// People sign in with it.
    pub sign_in: Option<Arc<dyn SignIn>>,
}

impl Integration {
    /// A provider with which nothing can be done yet.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self { provider, oauth: None, connector: None, publisher: None, sign_in: None }
    }
}

/// The providers that are set up.
#[derive(Debug, Clone)]
pub struct Providers {
    integrations: BTreeMap<Provider, Integration>,
}

impl Providers {
    /// The providers as configured; browsers come back to addresses below `public_url`.
    ///
    /// # Errors
    /// An app has an id and no secret, or an address cannot be used.
    pub fn new(config: &ProvidersConfig, public_url: &str) -> anyhow::Result<Self> {
        let mut integrations = BTreeMap::new();
        for listing in LIST {
            let integration = (listing.set_up)(config, listing.redirect_uri(public_url))?;
            integrations.extend(integration.map(|integration| (listing.provider, integration)));
        }
        Ok(Self { integrations })
    }

    /// Adds a provider, in place of what there is of it.
    #[cfg(any(test, feature = "testing"))]
    pub fn insert(&mut self, integration: Integration) {
        self.integrations.insert(integration.provider, integration);
    }

    /// How people log in there to connect accounts.
    ///
    /// # Errors
    /// [`NotOffered`].
    pub fn connecting(&self, provider: Provider) -> Result<&OauthClient, NotOffered> {
        self.connector(provider)?;
        self.get(provider)?.oauth.as_ref().ok_or(NotOffered::Unsupported(provider))
    }

    /// How accounts are connected there.
    ///
    /// # Errors
    /// [`NotOffered`].
    pub fn connector(&self, provider: Provider) -> Result<&dyn Connector, NotOffered> {
        self.get(provider)?.connector.as_deref().ok_or(NotOffered::Unsupported(provider))
    }

    /// How posts go out there.
    ///
    /// # Errors
    /// [`NotOffered`].
    pub fn publisher(&self, provider: Provider) -> Result<&dyn Publisher, NotOffered> {
        self.get(provider)?.publisher.as_deref().ok_or(NotOffered::Unsupported(provider))
    }

    /// How people log in there to sign in, and who they are then; `None`: nobody can sign in there.
    #[must_use]
    pub fn signing_in(&self, provider: Provider) -> Option<(&OauthClient, &dyn SignIn)> {
        let integration = self.integrations.get(&provider)?;
        Some((integration.oauth.as_ref()?, integration.sign_in.as_deref()?))
    }

    fn get(&self, provider: Provider) -> Result<&Integration, NotOffered> {
        self.integrations.get(&provider).ok_or_else(|| {
            let is_meant = |listing: &&Listing| listing.provider == provider && listing.purpose == Purpose::Connect;
            let listing = LIST.iter().find(is_meant);
            listing.map_or(NotOffered::Unsupported(provider), |listing| NotOffered::NotConfigured {
                provider,
                setting: listing.setting,
            })
        })
    }
}
