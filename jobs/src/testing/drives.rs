//! Drives of the sandbox, whose refresh tokens work once.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::json;

use super::Bench;
use crate::{
    connections::store::{self, NewToken},
    ids::TokenId,
    providers::sandbox_drive::{self, PROVIDER},
    services::Services,
};

impl Bench {
    /// Configures the drive in this process.
    pub fn use_drive(&mut self) {
        let mut services = Services::clone(&self.engine.services);
        services.providers.insert(sandbox_drive::integration(&self.sandbox.base));
        self.engine.services = Arc::new(services);
    }

    /// Connects the drives of `count` people, with access tokens that end after `life_seconds`.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect_drives(&self, count: usize, life_seconds: u32) -> Vec<TokenId> {
        let grants = json!({ "count": count, "life_seconds": life_seconds });
        let grants = self.sandbox.control("grants", grants).await;
        let (keyring, tenant_id) = (&self.engine.services.keyring, self.tenant_id);
        let tokens: Vec<NewToken> = grants["items"]
            .as_array()
            .expect("grants")
            .iter()
            .map(|grant| {
                let id = TokenId::new();
                let secret = |name: &str| SecretString::from(grant[name].as_str().expect("a token"));
                let refresh_place = store::refresh_token_place(tenant_id, id);
                NewToken {
                    id,
                    subject_id: grant["subject"].as_str().expect("a person").to_owned(),
                    access_token: keyring.encrypt(store::token_place(tenant_id, id), &secret("access_token")),
                    refresh_token: Some(keyring.encrypt(refresh_place, &secret("refresh_token"))),
                    expires_in: Some(Duration::from_secs(life_seconds.into())),
                }
            })
            .collect();
        let mut tx = self.engine.db.tenant(tenant_id).await.expect("a transaction");
        let owner = (tenant_id, PROVIDER);
        store::upsert_tokens(&mut tx, owner, "user", &["files".to_owned()], &tokens).await.expect("tokens");
        sqlx::query(
            "
            insert into social_accounts (id, tenant_id, platform, remote_id, name, status, user_token_id, token_id)
            select gen_random_uuid(), tenant_id, provider, subject_id, 'A drive', 'active', id, id
            from oauth_tokens
            where tenant_id = $1 and provider = $2
            on conflict do nothing
            ",
        )
        .bind(tenant_id.0)
        .bind(PROVIDER.name())
        .execute(&mut *tx)
        .await
        .expect("accounts");
        tx.commit().await.expect("a commit");
        tokens.into_iter().map(|token| token.id).collect()
    }
}
