//! Connects Pages, with the token of a person who manages them.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Facebook, PAGE_SIZE, codes::class_of};
use crate::providers::{
    AppCredentials, Call, Class, Connector, Failure, Found, FoundAccount, Inspection, OnWrite, ProviderError, Token,
};

/// The permissions that publishing to a Page needs. Source: Pages API, "Posts".
pub(super) const SCOPES: [&str; 3] = ["pages_show_list", "pages_read_engagement", "pages_manage_posts"];

/// The permissions without which nothing can be published or looked for afterwards. Source: Pages
/// API, "Posts", "Permissions".
const PUBLISHING_SCOPES: [&str; 2] = ["pages_manage_posts", "pages_read_engagement"];

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    expires_in: Option<u64>,
}

/// The person behind a token.
#[derive(Deserialize)]
struct Person {
    /// The app-scoped id.
    id: String,
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
    status: String,
}

/// A Page that a person manages.
#[derive(Deserialize)]
struct ManagedPage {
    id: String,
    name: String,
    /// The Page's token; missing if the person did not share the Page.
    access_token: Option<SecretString>,
    /// The tasks that the person may do on the Page.
    #[serde(default)]
    tasks: Vec<String>,
}

impl ManagedPage {
    /// Returns true if the person may publish on the Page. Source: Pages API, "Tasks".
    fn can_publish(&self) -> bool {
        self.tasks.iter().any(|task| task == "CREATE_CONTENT" || task == "MANAGE")
    }
}

#[derive(Deserialize)]
struct Described {
    data: Description,
}

/// A token as Meta describes it. Times are seconds since 1970; 0 is never.
#[derive(Deserialize)]
struct Description {
    is_valid: bool,
    #[serde(default)]
    expires_at: i64,
    #[serde(default)]
    data_access_expires_at: i64,
    #[serde(default)]
    scopes: Vec<String>,
    error: Option<DescribedError>,
}

#[derive(Deserialize)]
struct DescribedError {
    code: i64,
    subcode: Option<i64>,
}

fn time(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0).filter(|_| seconds > 0)
}

/// Turns the refusal of a token into [`Class::Config`], because the token was that of our app.
fn about_app(mut error: ProviderError) -> ProviderError {
    if let Failure::Refused { class: class @ Class::Reauth, .. } = &mut error.failure {
        *class = Class::Config;
    }
    error
}

/// Returns the failure of a token that is described as not valid.
fn dead(code: i64, subcode: i64) -> Failure {
    let message = format!("the token is not valid (code {code}, subcode {subcode})");
    Failure::Refused { class: class_of(code, subcode), on_write: OnWrite::Refused, message, wait: None }
}

impl Connector for Facebook {
    /// The fresh life is about 60 days. Source: Facebook Login, "Get a long-lived token".
    fn refresh<'a>(&'a self, token: &'a Token) -> Call<'a, Token> {
        Box::pin(async move {
            let form = [
                ("grant_type", "fb_exchange_token"),
                ("client_id", self.graph.app.id.as_str()),
                ("client_secret", self.graph.app.secret.expose_secret()),
                ("fb_exchange_token", token.secret.expose_secret()),
            ];
            let request = self.tokens.client.post(self.graph.url("oauth/access_token")).form(&form);
            let answer: TokenAnswer = self.tokens.parse(&self.tokens.send(request).await?.body)?;
            let expires_in = answer.expires_in.map(Duration::from_secs);
            Ok(Token { secret: answer.access_token, expires_in, refresh: None })
        })
    }

    fn check<'a>(&'a self, token: &'a SecretString) -> Call<'a, String> {
        Box::pin(async move {
            let person: Person = self.graph.get("me", token, &[("fields", "id")]).await?;
            Ok(person.id)
        })
    }

    fn scopes(&self) -> Vec<&str> {
        SCOPES.to_vec()
    }

    /// The token to describe goes into the URL: this call has no other form. Source: Graph API,
    /// "Debug Token".
    fn inspect<'a>(&'a self, token: &'a SecretString) -> Call<'a, Option<Inspection>> {
        Box::pin(async move {
            let AppCredentials { id, secret } = &self.graph.app;
            let app_token = SecretString::from(format!("{id}|{}", secret.expose_secret()));
            let query = [("input_token", token.expose_secret())];
            let described = self.graph.get("debug_token", &app_token, &query).await;
            let Described { data } = described.map_err(about_app)?;
            if !data.is_valid {
                let (code, subcode) = data.error.map_or((190, None), |error| (error.code, error.subcode));
                return Err(self.graph.api.error(dead(code, subcode.unwrap_or(0))));
            }
            Ok(Some(Inspection {
                expires_at: time(data.expires_at),
                data_access_expires_at: time(data.data_access_expires_at),
                scopes: data.scopes,
            }))
        })
    }

    fn discover<'a>(&'a self, token: &'a SecretString) -> Call<'a, Found> {
        Box::pin(async move {
            let person_id = self.check(token).await?;
            let granted = self.list_granted(token).await?;
            let missing = PUBLISHING_SCOPES.into_iter().filter(|scope| !granted.iter().any(|one| one == scope));
            let missing = missing.collect();
            let (accounts, left_out) = self.list_pages(token).await?;
            Ok(Found { person_id, granted, missing, accounts, left_out })
        })
    }

    /// Source: Facebook Login, "Revoking Permissions".
    fn revoke<'a>(&'a self, token: &'a SecretString) -> Call<'a, ()> {
        Box::pin(async move {
            let request = self.graph.signed(Method::DELETE, &self.graph.url("me/permissions"), token);
            self.graph.api.send(request).await.map(|_| ())
        })
    }
}

impl Facebook {
    async fn list_granted(&self, token: &SecretString) -> Result<Vec<String>, ProviderError> {
        let list = self.graph.list::<Permission>("me/permissions", token, &[]).await?;
        Ok(list.items.into_iter().filter(|p| p.status == "granted").map(|p| p.permission).collect())
    }

    /// Returns the Pages that the person shared with us and may publish to, and the names of the
    /// others.
    async fn list_pages(&self, token: &SecretString) -> Result<(Vec<FoundAccount>, Vec<String>), ProviderError> {
        let query = [("fields", "id,name,access_token,tasks"), ("limit", PAGE_SIZE)];
        let (mut accounts, mut left_out) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for mut page in self.graph.list::<ManagedPage>("me/accounts", token, &query).await?.items {
            if !seen.insert(page.id.clone()) {
                continue;
            }
            match page.access_token.take() {
                Some(token) if page.can_publish() => {
                    accounts.push(FoundAccount { remote_id: page.id, name: page.name, token: Some(token) });
                }
                Some(_) | None => left_out.push(page.name),
            }
        }
        Ok((accounts, left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_tasks_allow_to_publish() {
        let page = |tasks: &[&str]| ManagedPage {
            id: "1".into(),
            name: "p".into(),
            access_token: None,
            tasks: tasks.iter().map(|&task| task.into()).collect(),
        };
        assert!(page(&["ANALYZE", "CREATE_CONTENT"]).can_publish());
        assert!(!page(&["ANALYZE", "MODERATE"]).can_publish());
    }
}
