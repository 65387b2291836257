//! The accounts of the person at the browser.

use serde::{Deserialize, Serialize};

use crate::identity::codes::Codes;

/// The accounts at the browser, and the codes and tokens issued for them.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    pub(crate) google: GoogleAccount,
    pub(crate) github: GithubAccount,
    pub(crate) codes: Codes,
}

/// An account at Google, as userinfo shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoogleAccount {
    /// The user's id: a decimal string that never changes.
    pub(crate) sub: String,
    pub(crate) email: String,
    pub(crate) email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) picture: Option<String>,
}

/// An account at GitHub.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GithubAccount {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) name: Option<String>,
    pub(crate) avatar_url: String,
    pub(crate) emails: Vec<GithubEmail>,
}

/// An email address of an account at GitHub.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GithubEmail {
    pub(crate) email: String,
    pub(crate) primary: bool,
    pub(crate) verified: bool,
    #[serde(default)]
    pub(crate) visibility: Option<String>,
}

/// An account at either provider, as it was when the person agreed.
#[derive(Debug, Clone)]
pub(crate) enum Account {
    Google(GoogleAccount),
    Github(GithubAccount),
}

impl Default for GoogleAccount {
    fn default() -> Self {
        Self {
            sub: "110169484474386276334".to_owned(),
            email: "ada.rossi@example.com".to_owned(),
            email_verified: true,
            name: Some("Ada Rossi".to_owned()),
            given_name: Some("Ada".to_owned()),
            family_name: Some("Rossi".to_owned()),
            picture: Some("https://pictures.example.com/ada".to_owned()),
        }
    }
}

impl Default for GithubAccount {
    fn default() -> Self {
        let email = |email: &str, primary| GithubEmail {
            email: email.to_owned(),
            primary,
            verified: true,
            visibility: primary.then(|| "private".to_owned()),
        };
        Self {
            id: 583_231,
            login: "adarossi".to_owned(),
            name: Some("Ada Rossi".to_owned()),
            avatar_url: "https://avatars.example.com/u/583231".to_owned(),
            emails: vec![
                email("583231+adarossi@users.noreply.example.com", false),
                email("ada.rossi@example.com", true),
            ],
        }
    }
}
