//! The sandbox's drive, a provider for tests only: its refresh tokens work once, and it ends the
//! grant if a used one comes back. It shows that such a grant survives us.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{
    AppCredentials, Call, Connector, Found, FoundAccount, Integration, OauthApp, OauthClient, Provider, ProviderError,
    Token, http::Api, oauth,
};

/// The provider that it stands for: one that this version does not support.
pub const PROVIDER: Provider = Provider::Onedrive;

/// The drive.
#[derive(Debug)]
struct Drive {
    api: Api,
    oauth: OauthClient,
    user_url: String,
}

/// Returns the drive of a world in the sandbox, whose providers are below `base`.
///
/// # Panics
/// If the address cannot be used.
#[must_use]
pub fn integration(base: &str) -> Integration {
    let api = Api::new(PROVIDER, oauth::failure_of);
    let app = OauthApp {
        credentials: AppCredentials { id: "drive-sandbox-app".to_owned(), secret: "drive-sandbox-secret".into() },
        authorize_url: format!("{base}/drive/authorize"),
        token_url: format!("{base}/drive/token"),
        redirect_uri: "http://127.0.0.1:1/back".to_owned(),
        scopes: "files".to_owned(),
        parameters: &[],
        takes_pkce: true,
    };
    let oauth = OauthClient::new(app, api.clone()).expect("usable addresses");
    let drive = Arc::new(Drive { api, oauth: oauth.clone(), user_url: format!("{base}/drive/me") });
    Integration { oauth: Some(oauth), connector: Some(drive), ..Integration::new(PROVIDER) }
}

/// Returns the drive of the world that `LINECOOK_SANDBOX_DRIVE` names, if it is set.
#[must_use]
pub(super) fn configured() -> Option<Integration> {
    #[expect(clippy::disallowed_methods, reason = "no setting of a release: there is no such feature in one")]
    let base = std::env::var("LINECOOK_SANDBOX_DRIVE").ok()?;
    Some(integration(&base))
}

#[derive(Deserialize)]
struct User {
    id: String,
}

impl Connector for Drive {
    fn refresh<'a>(&'a self, token: &'a Token) -> Call<'a, Token> {
        Box::pin(self.oauth.refresh(token.refresh.as_ref().unwrap_or(&token.secret)))
    }

    fn check<'a>(&'a self, token: &'a SecretString) -> Call<'a, String> {
        Box::pin(async { Ok(self.user(token).await?.id) })
    }

    fn scopes(&self) -> Vec<&str> {
        vec!["files"]
    }

    fn discover<'a>(&'a self, token: &'a SecretString) -> Call<'a, Found> {
        Box::pin(async {
            let User { id } = self.user(token).await?;
            let account =
                FoundAccount { platform: PROVIDER, remote_id: id.clone(), name: "A drive".to_owned(), token: None };
            Ok(Found {
                person_id: id,
                granted: vec!["files".to_owned()],
                missing: Vec::new(),
                accounts: vec![account],
                left_out: Vec::new(),
            })
        })
    }

    fn revoke<'a>(&'a self, token: &'a SecretString) -> Call<'a, ()> {
        Box::pin(async { self.user(token).await.map(|_| ()) })
    }
}

impl Drive {
    async fn user(&self, token: &SecretString) -> Result<User, ProviderError> {
        let request = self.api.client.get(&self.user_url).bearer_auth(token.expose_secret());
        self.api.parse(&self.api.send(request).await?.body)
    }
}
