//! Revokes the access that people granted, before the tokens for it are deleted.

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{Erasing, REVOKE_AGAIN, REVOKING_TRIES, look_again};
use crate::{
    connections::store::{RevocationRow, list_revocations, revocation_place, token_place, user_token_place},
    engine::{Cause, CauseClass, JobError},
    ids::{OauthStateId, TokenId},
    providers::{Class, Connector, NotOffered, ProviderError, StoredProvider},
    tenants::erasure::store::{self, KeptLogin, Revocable},
};

/// The number of tokens read at once.
const TOKENS_AT_ONCE: i64 = 100;

/// The outcome of revoking a connection.
#[derive(Debug, Clone, Copy)]
enum Revocation {
    Revoked,
    KeptForOthers,
    /// The provider has no such call.
    ByItsPerson,
    NotRevoked,
}

impl Erasing<'_> {
    /// Revokes every connection. A provider that refuses does not block the erasure; the result
    /// reports it.
    ///
    /// Revoked tokens are forgotten, so a token that is found later is a new one.
    pub(super) async fn revoke_connections(&mut self) -> Result<(), JobError> {
        if self.progress.is_revoked {
            return Ok(());
        }
        self.say(1, "revoking connections");
        self.progress.revoking_tries += 1;
        self.progress.not_revoked = 0;
        self.revoke_tokens().await?;
        self.revoke_logins().await?;
        self.revoke_kept().await?;
        let again = self.progress.not_revoked > 0 && !self.is_last_try();
        self.progress.is_revoked = !again;
        self.cx.begin().await?.checkpoint(&json!(self.progress)).await?;
        if again {
            let cause =
                Cause::plain(CauseClass::Transient, "Not every connection could be revoked; it is tried again.");
            return Err(JobError::Later(REVOKE_AGAIN, cause));
        }
        Ok(())
    }

    /// Revokes connections that were made since then, before their tokens are deleted.
    pub(super) async fn look_for_connections(&mut self) -> Result<(), JobError> {
        let mut tx = self.cx.begin().await?;
        if !store::is_connected(&mut tx, self.tenant_id).await? {
            return Ok(());
        }
        self.progress.is_revoked = false;
        tx.checkpoint(&json!(self.progress)).await?;
        Err(look_again("An account was connected at the last moment; it is looked for again."))
    }

    fn is_last_try(&self) -> bool {
        self.progress.revoking_tries >= REVOKING_TRIES
    }

    async fn revoke_tokens(&mut self) -> Result<(), JobError> {
        let mut after: Option<TokenId> = None;
        loop {
            let mut tx = self.cx.begin().await?;
            let tokens = store::list_revocable(&mut tx, self.tenant_id, after, TOKENS_AT_ONCE).await?;
            drop(tx);
            let Some(last) = tokens.last() else {
                return Ok(());
            };
            after = Some(last.id);
            let mut outcomes = Vec::new();
            for token in &tokens {
                outcomes.push((token.id.0, self.end_token(token).await));
            }
            self.forget(&outcomes).await?;
        }
    }

    async fn revoke_logins(&mut self) -> Result<(), JobError> {
        let mut after: Option<OauthStateId> = None;
        loop {
            let mut tx = self.cx.begin().await?;
            let logins = store::list_kept_logins(&mut tx, self.tenant_id, after, TOKENS_AT_ONCE).await?;
            drop(tx);
            let Some(last) = logins.last() else {
                return Ok(());
            };
            after = Some(last.id);
            let mut outcomes = Vec::new();
            for login in &logins {
                outcomes.push((login.id.0, self.end_login(login).await?));
            }
            self.forget(&outcomes).await?;
        }
    }

    /// Revokes the tokens of accounts that were disconnected just before.
    async fn revoke_kept(&mut self) -> Result<(), JobError> {
        let mut after = None;
        loop {
            let mut tx = self.cx.begin().await?;
            let rows = list_revocations(&mut tx, self.tenant_id, after, TOKENS_AT_ONCE).await?;
            drop(tx);
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = Some(last.id);
            let mut outcomes = Vec::new();
            for row in &rows {
                outcomes.push((row.id, self.end_kept(row).await?));
            }
            self.forget(&outcomes).await?;
        }
    }

    /// Counts outcomes, and forgets the tokens that need no further attempt.
    async fn forget(&mut self, outcomes: &[(Uuid, Revocation)]) -> Result<(), JobError> {
        let mut over = Vec::new();
        for &(id, outcome) in outcomes {
            let is_over = match outcome {
                Revocation::Revoked => {
                    self.progress.revoked += 1;
                    true
                }
                Revocation::KeptForOthers => {
                    self.progress.kept_for_others += 1;
                    true
                }
                Revocation::ByItsPerson => {
                    self.progress.by_their_people += 1;
                    true
                }
                Revocation::NotRevoked => {
                    self.progress.not_revoked += 1;
                    self.is_last_try()
                }
            };
            if is_over {
                over.push(id);
            }
        }
        let mut tx = self.cx.begin().await?;
        store::forget(&mut tx, self.tenant_id, &over).await?;
        tx.checkpoint(&json!(self.progress)).await
    }

    async fn end_token(&self, token: &Revocable) -> Revocation {
        if token.is_shared {
            return Revocation::KeptForOthers;
        }
        let Some(connector) = self.connector(token.id.0, &token.provider) else {
            return Revocation::NotRevoked;
        };
        let place = token_place(self.tenant_id, token.id);
        match self.cx.services().keyring.decrypt(place, &token.access_token) {
            Ok(access_token) => self.revoke(connector, token.id.0, &access_token).await,
            Err(_) => Revocation::NotRevoked,
        }
    }

    /// Revokes the token of a login that no account was connected with. Its person is unknown so
    /// far, so the provider is asked.
    async fn end_login(&self, login: &KeptLogin) -> Result<Revocation, JobError> {
        let Some(connector) = self.connector(login.id.0, &login.provider) else {
            return Ok(Revocation::NotRevoked);
        };
        let place = user_token_place(self.tenant_id, login.id);
        let Ok(token) = self.cx.services().keyring.decrypt(place, &login.user_token) else {
            return Ok(Revocation::NotRevoked);
        };
        let person_id = match connector.check(&token).await {
            Ok(person_id) => person_id,
            Err(error) => return Ok(self.refused(login.id.0, &error)),
        };
        let mut tx = self.cx.begin().await?;
        let is_elsewhere = store::is_elsewhere(&mut tx, self.tenant_id, login.provider.known()?, &person_id).await?;
        drop(tx);
        Ok(if is_elsewhere { Revocation::KeptForOthers } else { self.revoke(connector, login.id.0, &token).await })
    }

    async fn end_kept(&self, row: &RevocationRow) -> Result<Revocation, JobError> {
        let Some(connector) = self.connector(row.id, &row.provider) else {
            return Ok(Revocation::NotRevoked);
        };
        let mut tx = self.cx.begin().await?;
        let provider = row.provider.known()?;
        let is_elsewhere = store::is_elsewhere(&mut tx, self.tenant_id, provider, &row.subject_id).await?;
        drop(tx);
        if is_elsewhere {
            return Ok(Revocation::KeptForOthers);
        }
        match self.cx.services().keyring.decrypt(revocation_place(self.tenant_id, row.id), &row.access_token) {
            Ok(token) => Ok(self.revoke(connector, row.id, &token).await),
            Err(_) => Ok(Revocation::NotRevoked),
        }
    }

    /// Returns the connector that revokes the connection, or `None` if the provider is not
    /// configured.
    fn connector(&self, id: Uuid, provider: &StoredProvider) -> Option<&dyn Connector> {
        let known = provider.known().and_then(|provider| self.cx.services().providers.connector(provider));
        let warn = |error: &NotOffered| {
            tracing::warn!(tenant_id = %self.tenant_id, token_id = %id, %error, "a connection was not revoked");
        };
        known.inspect_err(warn).ok()
    }

    async fn revoke(&self, connector: &dyn Connector, id: Uuid, token: &SecretString) -> Revocation {
        if !connector.revokes() {
            return Revocation::ByItsPerson;
        }
        match connector.revoke(token).await {
            Ok(()) => Revocation::Revoked,
            Err(error) => self.refused(id, &error),
        }
    }

    /// A token that is dead already counts as revoked.
    fn refused(&self, id: Uuid, error: &ProviderError) -> Revocation {
        if error.class() == Class::Reauth {
            return Revocation::Revoked;
        }
        tracing::warn!(tenant_id = %self.tenant_id, token_id = %id, %error, "a connection was not revoked");
        Revocation::NotRevoked
    }
}
