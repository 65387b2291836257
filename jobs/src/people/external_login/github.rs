//! Who somebody is at GitHub. Source: GitHub's REST API, "Users" and "Emails".

use oauth2::AccessToken;
use serde::Deserialize;

use super::{super::store::Names, App, ExternalIdentity, ExternalLogin, ExternalLoginError, Provider};

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    avatar_url: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

pub(super) async fn person(
    login: &ExternalLogin,
    app: &App,
    token: &AccessToken,
) -> Result<ExternalIdentity, ExternalLoginError> {
    let user: User = login.get(app, "user", token).await?;
    let emails: Vec<Address> = match login.get(app, "user/emails?per_page=100", token).await {
        // Not granted: who came before is known by the id alone.
        Err(ExternalLoginError::UnexpectedResponse { status: 403 | 404 }) => Vec::new(),
        emails => emails?,
    };
    let email = emails.into_iter().find(|email| email.primary && email.verified).map(|email| email.email);
    let named = user.name.filter(|name| !name.trim().is_empty()).unwrap_or(user.login);
    ExternalIdentity::new(Provider::Github, &user.id.to_string(), email, Names::of(&named), user.avatar_url)
}
