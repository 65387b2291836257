//! The external services. Each has a folder with a thin typed client and its ways to connect,
//! publish or sign in.
//!
//! [`LIST`] has every provider that this version supports; [`Providers`] has those that are
//! configured. No code outside this folder names a provider.

pub mod ai;
mod authorization_request;
mod connector;
mod error;
mod github;
mod google;
pub mod http;
mod integration;
mod list;
mod meta;
mod not_offered;
mod oauth;
mod provider;
mod publer;
mod publisher;
mod redact;
mod report;
#[cfg(any(test, feature = "testing"))]
pub mod sandbox_drive;
mod sign_in;
mod storable;
mod wait;
mod workspaces;

pub use self::{
    authorization_request::AuthorizationRequest,
    connector::{Call, Connector, Found, FoundAccount, Inspection},
    error::{Class, Failure, OnWrite, ProviderError, ReadError},
    integration::{Integration, Listing, Providers, Purpose},
    list::{LIST, ProvidersConfig},
    not_offered::NotOffered,
    oauth::{AppCredentials, OauthApp, OauthClient, Token},
    provider::{Provider, StoredProvider},
    publisher::{Pictures, Publisher, Reading, RemoteAccount, Shown, ShownPost},
    report::{Report, ReportError, Reports},
    sign_in::{Profile, SignIn},
    workspaces::{Workspace, Workspaces},
};

#[cfg(test)]
mod tests;
