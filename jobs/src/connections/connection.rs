//! Stores a connection, for the exchange and for every refresh alike.

use secrecy::SecretString;

use super::store::{self, NewAccount, NewToken};
use crate::{
    engine::{AttemptTx, JobContext, JobError, ledger},
    ids::{AccountId, TokenId},
    providers::{Found, Provider, Token},
};

/// A valid token of a person, and the accounts it opens.
pub(super) struct Connection {
    provider: Provider,
    token: Token,
    found: Found,
}

impl Connection {
    /// Extends the life of a token, and reads the accounts that it opens.
    pub(super) async fn read(cx: &JobContext, provider: Provider, token: &SecretString) -> Result<Self, JobError> {
        let connector = cx.services().providers.connector(provider)?;
        let token = connector.refresh(token).await?;
        let found = connector.discover(&token.secret).await?;
        Ok(Self { provider, token, found })
    }

    /// The names of the listed accounts that cannot be used.
    pub(super) fn left_out(&self) -> &[String] {
        &self.found.left_out
    }

    /// The permissions that publishing or reading back needs and that the person did not grant.
    pub(super) fn missing(&self) -> &[&'static str] {
        &self.found.missing
    }

    /// Returns a sentence for people about missing permissions, if any are missing.
    fn trouble(&self) -> Option<String> {
        let (missing, label, noun) =
            (self.missing().join(" and "), self.provider.label(), self.provider.account_noun());
        (!missing.is_empty()).then(|| {
            format!(
                "{label} was not given the permission {missing}: connect the {noun} again and allow everything that is asked for."
            )
        })
    }

    /// Stores the tokens and connects the accounts. Jobs that waited for the accounts go on.
    pub(super) async fn store(
        self,
        cx: &JobContext,
        tx: &mut AttemptTx,
    ) -> Result<(TokenId, Vec<AccountId>), sqlx::Error> {
        let (tenant_id, trouble) = (cx.tenant_id(), self.trouble());
        let owner = (tenant_id, self.provider);
        let Found { person_id, granted, accounts, .. } = self.found;
        let sealed =
            |id: TokenId, token: &SecretString| cx.services().keyring.encrypt(store::token_place(tenant_id, id), token);
        let user_ids = store::token_id_of(tx, owner, "user", std::slice::from_ref(&person_id)).await?;
        let user_token_id = user_ids[0];
        let user = NewToken {
            id: user_token_id,
            subject_id: person_id,
            access_token: sealed(user_token_id, &self.token.secret),
            expires_in: self.token.expires_in,
        };
        store::upsert_tokens(tx, owner, "user", &granted, &[user]).await?;

        let subjects: Vec<String> = accounts.iter().map(|account| account.remote_id.clone()).collect();
        let token_ids = store::token_id_of(tx, owner, "page", &subjects).await?;
        let (mut tokens, mut connected) = (Vec::new(), Vec::new());
        for (account, id) in accounts.into_iter().zip(token_ids) {
            let token_id = if account.token.is_some() { id } else { user_token_id };
            if let Some(token) = account.token {
                let subject_id = account.remote_id.clone();
                tokens.push(NewToken { id, subject_id, access_token: sealed(id, &token), expires_in: None });
            }
            connected.push(NewAccount { remote_id: account.remote_id, name: account.name, token_id });
        }
        store::upsert_tokens(tx, owner, "page", &granted, &tokens).await?;
        let accounts = store::upsert_accounts(tx, owner, user_token_id, &connected, trouble.as_deref()).await?;
        ledger::resume_accounts(tx, tenant_id, &accounts).await?;
        Ok((user_token_id, accounts))
    }
}
