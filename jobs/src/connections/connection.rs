//! Stores a connection, for the exchange and for every refresh alike.

use secrecy::SecretString;

use super::store::{self, NewAccount, NewToken};
use crate::{
    engine::{AttemptTx, JobContext, JobError, ledger},
    ids::{AccountId, TokenId},
    providers::{Found, Provider, Token},
};

/// The accounts that a person's token opens.
pub(super) struct Connection {
    provider: Provider,
    found: Found,
}

impl Connection {
    /// Reads the accounts that a valid token opens.
    pub(super) async fn read(cx: &JobContext, provider: Provider, token: &SecretString) -> Result<Self, JobError> {
        let found = cx.services().providers.connector(provider)?.discover(token).await?;
        Ok(Self { provider, found })
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

    /// Stores the token of the person.
    pub(super) async fn store_token(
        &self,
        cx: &JobContext,
        tx: &mut AttemptTx,
        token: &Token,
    ) -> Result<TokenId, sqlx::Error> {
        let (keyring, tenant_id) = (&cx.services().keyring, cx.tenant_id());
        let owner = (tenant_id, self.provider);
        let person_id = &self.found.person_id;
        let id = store::token_id_of(tx, owner, "user", std::slice::from_ref(person_id)).await?[0];
        let refresh_place = store::refresh_token_place(tenant_id, id);
        let user = NewToken {
            id,
            subject_id: person_id.clone(),
            access_token: keyring.encrypt(store::token_place(tenant_id, id), &token.secret),
            refresh_token: token.refresh.as_ref().map(|token| keyring.encrypt(refresh_place, token)),
            expires_in: token.expires_in,
        };
        store::upsert_tokens(tx, owner, "user", &self.found.granted, &[user]).await?;
        Ok(id)
    }

    /// Leaves out accounts that somebody disconnected, so that a refresh does not connect them again.
    pub(super) async fn leave_out_disconnected(
        &mut self,
        cx: &JobContext,
        tx: &mut AttemptTx,
    ) -> Result<(), sqlx::Error> {
        let ids: Vec<String> = self.found.accounts.iter().map(|account| account.remote_id.clone()).collect();
        let gone = store::lock_disconnected(tx, cx.tenant_id(), self.provider, &ids).await?;
        self.found.accounts.retain(|account| !gone.contains(&account.remote_id));
        Ok(())
    }

    /// Connects the accounts, with their own tokens. Jobs that waited for the accounts go on.
    pub(super) async fn store_accounts(
        self,
        cx: &JobContext,
        tx: &mut AttemptTx,
        user_token_id: TokenId,
    ) -> Result<Vec<AccountId>, sqlx::Error> {
        let (tenant_id, trouble) = (cx.tenant_id(), self.trouble());
        let owner = (tenant_id, self.provider);
        let Found { granted, accounts, .. } = self.found;
        let sealed =
            |id: TokenId, token: &SecretString| cx.services().keyring.encrypt(store::token_place(tenant_id, id), token);
        store::set_scopes(tx, tenant_id, user_token_id, &granted).await?;
        let subjects: Vec<String> = accounts.iter().map(|account| account.remote_id.clone()).collect();
        let token_ids = store::token_id_of(tx, owner, "page", &subjects).await?;
        let (mut tokens, mut connected) = (Vec::new(), Vec::new());
        for (account, id) in accounts.into_iter().zip(token_ids) {
            let token_id = if account.token.is_some() { id } else { user_token_id };
            if let Some(token) = account.token {
                let subject_id = account.remote_id.clone();
                let access_token = sealed(id, &token);
                tokens.push(NewToken { id, subject_id, access_token, refresh_token: None, expires_in: None });
            }
            connected.push(NewAccount { remote_id: account.remote_id, name: account.name, token_id });
        }
        store::upsert_tokens(tx, owner, "page", &granted, &tokens).await?;
        let accounts = store::upsert_accounts(tx, owner, user_token_id, &connected, trouble.as_deref()).await?;
        ledger::resume_accounts(tx, tenant_id, &accounts).await?;
        Ok(accounts)
    }
}
