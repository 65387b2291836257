//! Takes back what people let us do, before the tokens for it go.

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{Erasing, REVOKE_AGAIN, REVOKING_TRIES, look_again};
use crate::{
    engine::{Cause, CauseClass, JobError},
    ids::{OauthStateId, TokenId},
    oauth::store,
    providers::meta::{Class, MetaError},
    tenants::erase::{self, KeptLogin, Revocable},
};

/// Tokens read at once.
const TOKENS_AT_ONCE: i64 = 100;

/// What became of a connection.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Revoked,
    KeptForOthers,
    NotRevoked,
}

impl Erasing<'_> {
    /// Revokes every connection. That a provider refuses holds nothing up for ever: the result says so. What is done is forgotten,
    /// so a token that is found later is a new one.
    pub(super) async fn revoke_connections(&mut self) -> Result<(), JobError> {
        if self.progress.is_revoked {
            return Ok(());
        }
        self.say(1, "revoking connections");
        self.progress.revoking_tries += 1;
        self.progress.not_revoked = 0;
        self.revoke_tokens().await?;
        self.revoke_logins().await?;
        let again = self.progress.not_revoked > 0 && !self.is_last_try();
        self.progress.is_revoked = !again;
        self.cx.begin().await?.checkpoint(&json!(self.progress)).await?;
        if again {
            let cause =
                Cause::plain(CauseClass::Transient, "Facebook did not revoke every connection; it is asked again.");
            return Err(JobError::Later(REVOKE_AGAIN, cause));
        }
        Ok(())
    }

    /// Has what was connected since then revoked too, before its tokens are deleted.
    pub(super) async fn look_for_connections(&mut self) -> Result<(), JobError> {
        let mut tx = self.cx.begin().await?;
        if !erase::is_connected(&mut tx, self.tenant_id).await? {
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
            let tokens = erase::list_revocable(&mut tx, self.tenant_id, after, TOKENS_AT_ONCE).await?;
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
            let logins = erase::list_kept_logins(&mut tx, self.tenant_id, after, TOKENS_AT_ONCE).await?;
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

    /// Counts outcomes, and forgets the tokens that no further try is for.
    async fn forget(&mut self, outcomes: &[(Uuid, Outcome)]) -> Result<(), JobError> {
        let mut over = Vec::new();
        for &(id, outcome) in outcomes {
            let is_over = match outcome {
                Outcome::Revoked => {
                    self.progress.revoked += 1;
                    true
                }
                Outcome::KeptForOthers => {
                    self.progress.kept_for_others += 1;
                    true
                }
                Outcome::NotRevoked => {
                    self.progress.not_revoked += 1;
                    self.is_last_try()
                }
            };
            if is_over {
                over.push(id);
            }
        }
        let mut tx = self.cx.begin().await?;
        erase::forget(&mut tx, self.tenant_id, &over).await?;
        tx.checkpoint(&json!(self.progress)).await
    }

    async fn end_token(&self, token: &Revocable) -> Outcome {
        if token.is_shared {
            return Outcome::KeptForOthers;
        }
        let place = store::token_place(self.tenant_id, token.id);
        match self.cx.services().keyring.decrypt(place, &token.access_token) {
            Ok(access_token) => self.revoke(token.id.0, &access_token).await,
            Err(_) => Outcome::NotRevoked,
        }
    }

    /// Whose login it is was not asked yet.
    async fn end_login(&self, login: &KeptLogin) -> Result<Outcome, JobError> {
        let services = self.cx.services();
        let place = store::user_token_place(self.tenant_id, login.id);
        let Ok(token) = services.keyring.decrypt(place, &login.user_token) else {
            return Ok(Outcome::NotRevoked);
        };
        let person = match services.meta.me(&token).await {
            Ok(person) => person,
            Err(error) => return Ok(self.refused(login.id.0, &error)),
        };
        let mut tx = self.cx.begin().await?;
        let is_elsewhere = erase::is_elsewhere(&mut tx, self.tenant_id, &person.id).await?;
        drop(tx);
        Ok(if is_elsewhere { Outcome::KeptForOthers } else { self.revoke(login.id.0, &token).await })
    }

    async fn revoke(&self, id: Uuid, token: &SecretString) -> Outcome {
        match self.cx.services().meta.revoke(token).await {
            Ok(()) => Outcome::Revoked,
            Err(error) => self.refused(id, &error),
        }
    }

    /// A token that is dead already counts as revoked.
    fn refused(&self, id: Uuid, error: &MetaError) -> Outcome {
        if let MetaError::Refused { class: Class::Reauth, .. } = error {
            return Outcome::Revoked;
        }
        tracing::warn!(tenant_id = %self.tenant_id, token_id = %id, %error, "a connection was not revoked");
        Outcome::NotRevoked
    }
}
