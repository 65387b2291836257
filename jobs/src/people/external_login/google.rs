//! Who somebody is at Google. Source: Google's "`OpenID Connect`", userinfo.

use oauth2::AccessToken;
use serde::Deserialize;

use super::{super::store::Names, App, ExternalIdentity, ExternalLogin, ExternalLoginError, Provider};

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    picture: Option<String>,
}

pub(super) async fn person(
    login: &ExternalLogin,
    app: &App,
    token: &AccessToken,
) -> Result<ExternalIdentity, ExternalLoginError> {
    let user: UserInfo = login.get(app, "oauth2/v3/userinfo", token).await?;
    let email = user.email.filter(|_| user.email_verified);
    let names = match (&user.given_name, &user.family_name) {
        (None, None) => Names::of(user.name.as_deref().unwrap_or_default()),
        (first, last) => {
            Names { first: first.as_deref().unwrap_or_default(), last: last.as_deref().unwrap_or_default() }
        }
    };
    ExternalIdentity::new(Provider::Google, &user.sub, email, names, user.picture)
}
