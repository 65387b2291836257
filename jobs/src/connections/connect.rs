//! Stores connections: the token of a person, and the accounts that it opens.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::{
    Report, SubscribeAccount,
    store::{self, NewAccount, NewToken},
};
use crate::{
    engine::{EnqueueError, NewJob, Tx, ledger},
    ids::{AccountId, TenantId, TokenId},
    providers::{FoundAccount, Provider, Token},
    services::Services,
};

/// A person's grant to a tenant.
pub(super) struct Grant<'a> {
    pub(super) tenant_id: TenantId,
    pub(super) provider: Provider,
    pub(super) report: &'a Report,
}

impl Grant<'_> {
    /// Stores the token of the person, and connects accounts that it opens. Accounts that were
    /// connected before keep their ids. Returns the token and the accounts.
    pub(super) async fn connect(
        &self,
        tx: &mut Tx,
        services: &Services,
        token: &Token,
        accounts: Vec<FoundAccount>,
    ) -> Result<(TokenId, Vec<AccountId>), EnqueueError> {
        let token_id = self.store_token(tx, services, token).await?;
        let accounts = self.store_accounts(tx, services, token_id, accounts).await?;
        self.subscribe(tx, services, &accounts).await?;
        Ok((token_id, accounts))
    }

    /// Renews the accounts that were connected with a token of the person, and no others. Returns
    /// them.
    pub(super) async fn renew(
        &self,
        tx: &mut Tx,
        services: &Services,
        token_id: TokenId,
        mut found: Vec<FoundAccount>,
    ) -> Result<Vec<AccountId>, EnqueueError> {
        let own = store::lock_accounts_of_user_token(tx, self.tenant_id, token_id).await?;
        found.retain(|account| {
            own.iter().any(|own| own.platform.0 == account.platform.name() && own.remote_id == account.remote_id)
        });
        store::set_scopes(tx, self.tenant_id, token_id, &self.report.granted).await?;
        let accounts = self.store_accounts(tx, services, token_id, found).await?;
        let unsubscribed = store::list_unsubscribed(tx, self.tenant_id, &accounts).await?;
        self.subscribe(tx, services, &unsubscribed).await?;
        Ok(accounts)
    }

    async fn store_token(&self, tx: &mut Tx, services: &Services, token: &Token) -> Result<TokenId, sqlx::Error> {
        let (keyring, tenant_id) = (&services.keyring, self.tenant_id);
        let (owner, person_id) = ((tenant_id, self.provider), &self.report.person_id);
        let id = store::token_id_of(tx, owner, "user", std::slice::from_ref(person_id)).await?[0];
        let refresh_place = store::refresh_token_place(tenant_id, id);
        let user = NewToken {
            id,
            subject_id: person_id.clone(),
            access_token: keyring.encrypt(store::token_place(tenant_id, id), &token.secret),
            refresh_token: token.refresh.as_ref().map(|token| keyring.encrypt(refresh_place, token)),
            expires_in: token.expires_in,
        };
        store::upsert_tokens(tx, owner, "user", &self.report.granted, &[user]).await?;
        Ok(id)
    }

    /// Connects accounts, with their own tokens. Jobs that waited for the accounts go on.
    async fn store_accounts(
        &self,
        tx: &mut Tx,
        services: &Services,
        user_token_id: TokenId,
        accounts: Vec<FoundAccount>,
    ) -> Result<Vec<AccountId>, sqlx::Error> {
        let own_tokens = self.store_account_tokens(tx, services, &accounts).await?;
        let connected: Vec<NewAccount> = accounts
            .into_iter()
            .map(|account| NewAccount {
                token_id: account
                    .token
                    .and_then(|token| own_tokens.get(&token.subject_id).copied())
                    .unwrap_or(user_token_id),
                platform: account.platform,
                remote_id: account.remote_id,
                name: account.name,
            })
            .collect();
        let trouble = self.report.trouble(self.provider);
        let accounts =
            store::upsert_accounts(tx, self.tenant_id, user_token_id, &connected, trouble.as_deref()).await?;
        ledger::resume_accounts(tx, self.tenant_id, &accounts).await?;
        Ok(accounts)
    }

    /// Stores the tokens of accounts, each once. Returns their ids by the ids of their accounts.
    async fn store_account_tokens(
        &self,
        tx: &mut Tx,
        services: &Services,
        accounts: &[FoundAccount],
    ) -> Result<BTreeMap<String, TokenId>, sqlx::Error> {
        let owner = (self.tenant_id, self.provider);
        let by_subject: BTreeMap<&String, &SecretString> = accounts
            .iter()
            .filter_map(|account| account.token.as_ref())
            .map(|it| (&it.subject_id, &it.secret))
            .collect();
        let subjects: Vec<String> = by_subject.keys().copied().cloned().collect();
        let ids = store::token_id_of(tx, owner, "page", &subjects).await?;
        let tokens: Vec<NewToken> = by_subject
            .values()
            .zip(subjects.iter().zip(&ids))
            .map(|(secret, (subject_id, &id))| NewToken {
                id,
                subject_id: subject_id.clone(),
                access_token: services.keyring.encrypt(store::token_place(self.tenant_id, id), secret),
                refresh_token: None,
                expires_in: None,
            })
            .collect();
        store::upsert_tokens(tx, owner, "page", &self.report.granted, &tokens).await?;
        Ok(subjects.into_iter().zip(ids).collect())
    }

    /// Enqueues the subscriptions to the events of accounts, if the provider has events.
    async fn subscribe(&self, tx: &mut Tx, services: &Services, accounts: &[AccountId]) -> Result<(), EnqueueError> {
        let connector = services.providers.connector(self.provider);
        if connector.is_ok_and(|connector| connector.event_scope().is_some()) {
            let jobs = accounts.iter().map(|&account_id| NewJob::new(self.tenant_id, &SubscribeAccount { account_id }));
            tx.enqueue_all(jobs.collect()).await?;
        }
        Ok(())
    }
}
