//! The keys and workspaces of a world, and its switches about Publer.

use serde::{Deserialize, Serialize};

/// A permission of a key, chosen when the key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    Workspaces,
    Accounts,
    Posts,
    Media,
    Analytics,
}

/// A key of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKey {
    pub(super) key: String,
    pub(super) user_id: String,
    #[serde(default = "all_scopes")]
    pub(super) scopes: Vec<Scope>,
}

/// A workspace with its accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workspace {
    pub(super) id: String,
    pub(super) name: String,
    /// The ids of its users.
    pub(super) members: Vec<String>,
    #[serde(default)]
    pub(super) accounts: Vec<Account>,
}

/// An account on a network, as Publer lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) id: String,
    /// The network, such as `pinterest`.
    pub(super) provider: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) social_id: String,
    #[serde(default)]
    pub(super) picture: Option<String>,
    /// The sort of account, such as `page`.
    #[serde(default, rename = "type")]
    pub(super) sort: String,
}

/// The settings of Publer in one world.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(super) keys: Vec<ApiKey>,
    pub(super) workspaces: Vec<Workspace>,
    /// Replies in the form of the schema, with `success` and `data`, instead of that of the prose.
    pub(super) wrapped_replies: bool,
    /// The time that a job takes.
    pub(super) job_lag_seconds: u32,
    /// The requests of a user in two minutes.
    pub(super) requests_per_window: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let user_id = "5f0000000000000000000001".to_owned();
        let account = |id: &str, provider: &str, name: &str, sort: &str| Account {
            id: id.to_owned(),
            provider: provider.to_owned(),
            name: name.to_owned(),
            social_id: format!("{provider}-{name}").to_lowercase(),
            picture: None,
            sort: sort.to_owned(),
        };
        let workspace = Workspace {
            id: "600000000000000000000001".to_owned(),
            name: "Trattoria Aurora".to_owned(),
            members: vec![user_id.clone()],
            accounts: vec![
                account("630000000000000000000001", "pinterest", "Aurora", "business"),
                account("630000000000000000000002", "linkedin", "Aurora", "page"),
            ],
        };
        Self {
            keys: vec![ApiKey { key: "publer-sandbox-key".to_owned(), user_id, scopes: all_scopes() }],
            workspaces: vec![workspace],
            wrapped_replies: false,
            job_lag_seconds: 0,
            requests_per_window: 100,
        }
    }
}

fn all_scopes() -> Vec<Scope> {
    vec![Scope::Workspaces, Scope::Accounts, Scope::Posts, Scope::Media, Scope::Analytics]
}
