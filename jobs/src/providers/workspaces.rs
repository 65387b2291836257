//! The interface of services to which people give us a key instead of logging in. The key opens
//! workspaces, and one of them is connected.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Call;

/// A workspace that a key opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// The provider's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Reads what a key opens. The connected workspace is used through [`super::Connector`].
pub trait Workspaces: fmt::Debug + Send + Sync {
    /// Checks a key by one call, and returns the workspaces that it opens.
    ///
    /// Errors: class `Reauth` if the key is wrong, class `Permission` if it may not list them.
    fn list<'a>(&'a self, key: &'a SecretString) -> Call<'a, Vec<Workspace>>;

    /// Returns the token of the connection to one workspace.
    fn token(&self, key: &SecretString, workspace_id: &str) -> SecretString;
}
