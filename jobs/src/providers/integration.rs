//! The abilities of providers, and the providers that are configured.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::ensure;
use chrono::{DateTime, Utc};

use super::{
    Connector, LIST, NotOffered, OauthClient, Provider, ProvidersConfig, Publisher, Report, ReportError, Reports,
    SignIn, Workspaces,
};
use crate::people::SignInWith;

/// A provider that this version supports, configured or not.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// The provider.
    pub provider: Provider,
    /// The purpose of logins at this provider.
    pub purpose: Purpose,
    /// The setting without which the provider is not offered.
    pub setting: &'static str,
    /// Makes the provider's clients. Browsers come back to the given address. Returns `None` if the
    /// provider is not configured.
    pub(super) set_up: fn(&ProvidersConfig, String) -> anyhow::Result<Option<Integration>>,
}

/// The purpose of logins at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Connecting accounts.
    Connect,
    /// Signing in to Linecook.
    SignIn,
    /// Nobody logs in there: people give us a key.
    Key,
}

impl Listing {
    /// Returns the address to which the provider sends a browser back.
    fn redirect_uri(&self, public_url: &str) -> String {
        let name = self.provider.name();
        match self.purpose {
            Purpose::Connect => format!("{public_url}/api/v1/oauth/{name}/callback"),
            Purpose::SignIn => format!("{public_url}/sign-in/{name}/callback"),
            Purpose::Key => public_url.to_owned(),
        }
    }
}

/// A configured provider, with one client for each of its abilities.
#[derive(Debug, Clone)]
pub struct Integration {
    /// The provider.
    pub provider: Provider,
    /// The client for logins, if people log in there.
    pub oauth: Option<OauthClient>,
    /// The client for connecting accounts.
    pub connector: Option<Arc<dyn Connector>>,
    /// The client for publishing posts.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// The client for signing in.
    pub sign_in: Option<Arc<dyn SignIn>>,
    /// The client for keys, if people give us one.
    pub workspaces: Option<Arc<dyn Workspaces>>,
    /// The reports about people who removed our app there.
    pub reports: Option<Reports>,
}

impl Integration {
    /// Returns a provider without abilities.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self { provider, oauth: None, connector: None, publisher: None, sign_in: None, workspaces: None, reports: None }
    }
}

/// The configured providers.
#[derive(Debug, Clone)]
pub struct Providers {
    integrations: BTreeMap<Provider, Integration>,
}

impl Providers {
    /// Returns the configured providers. Browsers come back to addresses below `public_url`.
    ///
    /// # Errors
    /// Returns an error if an app has an id and no secret, or if an address cannot be used.
    pub fn new(config: &ProvidersConfig, public_url: &str) -> anyhow::Result<Self> {
        let mut integrations = BTreeMap::new();
        for listing in LIST {
            let integration = (listing.set_up)(config, listing.redirect_uri(public_url))?;
            integrations.extend(integration.map(|integration| (listing.provider, integration)));
        }
        #[cfg(any(test, feature = "testing"))]
        integrations.extend(super::sandbox_drive::configured().map(|drive| (drive.provider, drive)));
        Ok(Self { integrations })
    }

    /// Lets people sign in with these providers only, or with all if that is not set.
    ///
    /// # Errors
    /// Returns an error if one of them is not configured.
    pub fn sign_in_with(mut self, with: Option<&SignInWith>) -> anyhow::Result<Self> {
        let Some(SignInWith(named)) = with else {
            return Ok(self);
        };
        for listing in LIST.iter().filter(|listing| listing.purpose == Purpose::SignIn) {
            let (provider, is_named) = (listing.provider, named.contains(&listing.provider));
            ensure!(
                !is_named || self.signing_in(provider).is_some(),
                "SIGN_IN_WITH names {}, so set {} too",
                provider.name(),
                listing.setting
            );
            if let Some(integration) = self.integrations.get_mut(&provider).filter(|_| !is_named) {
                integration.sign_in = None;
            }
        }
        Ok(self)
    }

    /// Adds a provider, and replaces an earlier one.
    #[cfg(any(test, feature = "testing"))]
    pub fn insert(&mut self, integration: Integration) {
        self.integrations.insert(integration.provider, integration);
    }

    /// Returns the client for logins that connect accounts.
    ///
    /// # Errors
    /// Returns [`NotOffered`], on which a job waits for an operator or a newer version.
    pub fn connecting(&self, provider: Provider) -> Result<&OauthClient, NotOffered> {
        self.connector(provider)?;
        self.get(provider)?.oauth.as_ref().ok_or(NotOffered::Unsupported(provider))
    }

    /// Returns the client for connecting accounts.
    ///
    /// # Errors
    /// As [`Providers::connecting`].
    pub fn connector(&self, provider: Provider) -> Result<&dyn Connector, NotOffered> {
        self.get(provider)?.connector.as_deref().ok_or(NotOffered::Unsupported(provider))
    }

    /// Returns the client for publishing posts.
    ///
    /// # Errors
    /// As [`Providers::connecting`].
    pub fn publisher(&self, provider: Provider) -> Result<&dyn Publisher, NotOffered> {
        self.get(provider)?.publisher.as_deref().ok_or(NotOffered::Unsupported(provider))
    }

    /// Returns the client for keys that open workspaces.
    ///
    /// # Errors
    /// As [`Providers::connecting`].
    pub fn workspaces(&self, provider: Provider) -> Result<&dyn Workspaces, NotOffered> {
        self.get(provider)?.workspaces.as_deref().ok_or(NotOffered::Unsupported(provider))
    }

    /// Returns the clients for logging in and for reading the person's profile, or `None` if nobody
    /// can sign in with this provider.
    #[must_use]
    pub fn signing_in(&self, provider: Provider) -> Option<(&OauthClient, &dyn SignIn)> {
        let integration = self.integrations.get(&provider)?;
        Some((integration.oauth.as_ref()?, integration.sign_in.as_deref()?))
    }

    /// Reads a report that a person removed our app. Providers that share a sender have an app each,
    /// and so a secret.
    ///
    /// # Errors
    /// Returns [`ReportError`] if none of their apps accepts it.
    pub fn read_report(
        &self,
        sender: &str,
        signed_request: &str,
        now: DateTime<Utc>,
    ) -> Result<(Provider, Report), ReportError> {
        let mut refused = ReportError::UnknownSender;
        for integration in self.integrations.values() {
            let Some(reports) = integration.reports.as_ref().filter(|reports| reports.sender == sender) else {
                continue;
            };
            match reports.read(signed_request, now) {
                Ok(report) => return Ok((integration.provider, report)),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn get(&self, provider: Provider) -> Result<&Integration, NotOffered> {
        self.integrations.get(&provider).ok_or_else(|| {
            let is_meant = |listing: &&Listing| listing.provider == provider && listing.purpose != Purpose::SignIn;
            let listing = LIST.iter().find(is_meant);
            listing.map_or(NotOffered::Unsupported(provider), |listing| NotOffered::NotConfigured {
                provider,
                setting: listing.setting,
            })
        })
    }
}
