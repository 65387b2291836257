//! The services outside: a folder each, with a thin typed client and how it is connected, published to, or signed in with.
//!
//! [`LIST`] has all that this version can talk to, [`Providers`] those that are set up. Nothing outside this folder names one.

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
mod publisher;
mod redact;
mod sign_in;
mod wait;

pub use self::{
    authorization_request::AuthorizationRequest,
    connector::{Call, Connector, Found, FoundAccount},
    error::{Class, Failure, OnWrite, ProviderError, ReadError},
    integration::{Integration, Listing, Providers, Purpose},
    list::{LIST, ProvidersConfig},
    not_offered::NotOffered,
    oauth::{AppCredentials, OauthApp, OauthClient, Token},
    provider::{Provider, StoredProvider},
    publisher::{Pictures, Publisher, Reading, RemoteAccount, Shown, ShownPost},
    sign_in::{Profile, SignIn},
};

#[cfg(test)]
mod tests;
