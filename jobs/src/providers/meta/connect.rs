//! Connects Pages, with the token of a person who manages them.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{
    Facebook, PAGE_SIZE,
    codes::class_of,
    scopes::{self, PUBLISHING},
};
use crate::providers::{
    AccountToken, AppCredentials, Call, Class, Connector, Failure, Found, FoundAccount, Inspection, LeftOut,
    LeftOutReason, OnWrite, Provider, ProviderError, Token,
};

/// The fields of a Page. Source: Graph API, "User, Accounts" and "Page".
const PAGE_FIELDS: &str = "id,name,access_token,tasks,instagram_business_account{id,username},\
                           connected_instagram_account{id,username}";

/// The events of a Page that our app gets. Source: Pages API, "Webhooks for Pages".
const EVENTS: &str = "feed,mention";

/// The permission for that. Source: as [`EVENTS`].
const EVENT_SCOPE: &str = "pages_manage_metadata";

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
    /// The Instagram account that apps can use through the Page.
    instagram_business_account: Option<Instagram>,
    /// The Instagram account that is linked to the Page, of whatever sort.
    connected_instagram_account: Option<Instagram>,
}

/// An Instagram account of a Page.
#[derive(Deserialize)]
struct Instagram {
    id: String,
    username: Option<String>,
}

impl Instagram {
    fn name(&self) -> String {
        self.username.as_ref().map_or_else(|| self.id.clone(), |name| format!("@{name}"))
    }
}

impl ManagedPage {
    /// Returns true if the person may publish on the Page. Source: Pages API, "Tasks".
    fn can_publish(&self) -> bool {
        self.tasks.iter().any(|task| task == "CREATE_CONTENT" || task == "MANAGE")
    }

    /// Returns the Page's token, or the reason for which the Page cannot be used.
    fn usable_token(&self) -> Result<SecretString, LeftOutReason> {
        let token = self.access_token.clone().filter(|token| !token.expose_secret().is_empty());
        let token = token.ok_or(LeftOutReason::NotShared)?;
        if self.can_publish() { Ok(token) } else { Err(LeftOutReason::MayNotPublish) }
    }

    /// Adds the Page, and its Instagram account, which the Page's token opens.
    fn add_to(self, secret: &SecretString, accounts: &mut Vec<FoundAccount>, left_out: &mut Vec<LeftOut>) {
        let token = || Some(AccountToken { subject_id: self.id.clone(), secret: secret.clone() });
        let found = |platform, remote_id: &str, name| FoundAccount {
            platform,
            remote_id: remote_id.to_owned(),
            name,
            token: token(),
        };
        accounts.push(found(Provider::Facebook, &self.id, self.name.clone()));
        match (&self.instagram_business_account, &self.connected_instagram_account) {
            (Some(account), _) => accounts.push(found(Provider::Instagram, &account.id, account.name())),
            (None, Some(account)) => {
                left_out.push(LeftOut { name: account.name(), reason: LeftOutReason::NotBusiness });
            }
            (None, None) => {}
        }
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
        self.scopes.names().to_vec()
    }

    fn purpose_of(&self, scope: &str) -> Option<&'static str> {
        scopes::purpose_of(scope)
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
            let missing = PUBLISHING.into_iter().filter(|scope| !granted.iter().any(|one| one == scope));
            let missing = missing.collect();
            let (accounts, left_out) = self.list_pages(token).await?;
            Ok(Found { person_id, granted, missing, accounts, left_out })
        })
    }

    fn event_scope(&self) -> Option<&'static str> {
        self.scopes.names().iter().copied().find(|scope| *scope == EVENT_SCOPE)
    }

    /// Source: Pages API, "Webhooks for Pages".
    fn subscribe<'a>(&'a self, page_id: &'a str, token: &'a SecretString) -> Call<'a, ()> {
        Box::pin(async move {
            let url = self.graph.url(&format!("{page_id}/subscribed_apps"));
            let request = self.graph.signed(Method::POST, &url, token).form(&[("subscribed_fields", EVENTS)]);
            self.graph.api.send(request).await.map(|_| ())
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

    /// Returns the Pages that the person shared with us and may publish to, each with its Instagram
    /// account, and the others.
    async fn list_pages(&self, token: &SecretString) -> Result<(Vec<FoundAccount>, Vec<LeftOut>), ProviderError> {
        let query = [("fields", PAGE_FIELDS), ("limit", PAGE_SIZE)];
        let (mut accounts, mut left_out) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for page in self.graph.list::<ManagedPage>("me/accounts", token, &query).await?.items {
            if seen.insert(page.id.clone()) {
                match page.usable_token() {
                    Ok(secret) => page.add_to(&secret, &mut accounts, &mut left_out),
                    Err(reason) => left_out.push(LeftOut { name: page.name, reason }),
                }
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
            instagram_business_account: None,
            connected_instagram_account: None,
        };
        assert!(page(&["ANALYZE", "CREATE_CONTENT"]).can_publish());
        assert!(!page(&["ANALYZE", "MODERATE"]).can_publish());
    }
}
