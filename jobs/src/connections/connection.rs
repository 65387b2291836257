//! What is stored of a Facebook connection, by the exchange and by every refresh alike.

use std::collections::BTreeSet;

use secrecy::SecretString;

use super::store::{self, NewAccount, NewToken};
use crate::{
    engine::{AttemptTx, JobContext, ledger},
    ids::{AccountId, TokenId},
    providers::meta::{Meta, MetaError, PUBLISHING_SCOPES, Page, UserToken},
};

/// A living user token and what it opens.
pub(super) struct Connection {
    user: UserToken,
    person_id: String,
    granted: Vec<String>,
    pages: Vec<(Page, SecretString)>,
    /// Pages that were listed but cannot be published to, by name.
    pub(super) left_out: Vec<String>,
    /// Permissions that publishing or reading back needs and that the person did not grant.
    pub(super) missing: Vec<&'static str>,
}

impl Connection {
    /// Makes a user token long-lived and reads what it opens.
    pub(super) async fn read(meta: &Meta, token: &SecretString) -> Result<Self, MetaError> {
        let user = meta.extend(token).await?;
        let person_id = meta.me(&user.token).await?.id;
        let granted = meta.list_granted(&user.token).await?;
        let missing = PUBLISHING_SCOPES.into_iter().filter(|scope| !granted.iter().any(|one| one == scope)).collect();
        let (mut pages, mut left_out) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for mut page in meta.list_pages(&user.token).await? {
            if !seen.insert(page.id.clone()) {
                continue;
            }
            match page.access_token.take() {
                Some(token) if page.can_publish() => pages.push((page, token)),
                Some(_) | None => left_out.push(page.name),
            }
        }
        Ok(Self { user, person_id, granted, pages, left_out, missing })
    }

    /// What is wrong with all of it, in words for people.
    fn trouble(&self) -> Option<String> {
        let missing = self.missing.join(" and ");
        (!missing.is_empty()).then(|| {
            format!(
                "Facebook was not given the permission {missing}: connect the Page again and allow everything that is asked for."
            )
        })
    }

    /// Stores the tokens and connects the accounts; what waited for them goes on.
    pub(super) async fn store(
        self,
        cx: &JobContext,
        tx: &mut AttemptTx,
    ) -> Result<(TokenId, Vec<AccountId>), sqlx::Error> {
        let (tenant_id, trouble) = (cx.tenant_id(), self.trouble());
        let sealed =
            |id: TokenId, token: &SecretString| cx.services().keyring.encrypt(store::token_place(tenant_id, id), token);
        let user_ids = store::token_id_of(tx, tenant_id, "user", std::slice::from_ref(&self.person_id)).await?;
        let user_token_id = user_ids[0];
        let user = NewToken {
            id: user_token_id,
            subject_id: self.person_id,
            access_token: sealed(user_token_id, &self.user.token),
            expires_in: self.user.expires_in,
        };
        store::upsert_tokens(tx, tenant_id, "user", &self.granted, &[user]).await?;

        let subjects: Vec<String> = self.pages.iter().map(|(page, _)| page.id.clone()).collect();
        let token_ids = store::token_id_of(tx, tenant_id, "page", &subjects).await?;
        let (mut tokens, mut accounts) = (Vec::new(), Vec::new());
        for ((page, token), id) in self.pages.into_iter().zip(token_ids) {
            let access_token = sealed(id, &token);
            tokens.push(NewToken { id, subject_id: page.id.clone(), access_token, expires_in: None });
            accounts.push(NewAccount { remote_id: page.id, name: page.name, token_id: id });
        }
        store::upsert_tokens(tx, tenant_id, "page", &self.granted, &tokens).await?;
        let accounts = store::upsert_accounts(tx, tenant_id, user_token_id, &accounts, trouble.as_deref()).await?;
        ledger::resume_accounts(tx, tenant_id, &accounts).await?;
        Ok((user_token_id, accounts))
    }
}
