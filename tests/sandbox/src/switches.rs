//! How a world behaves where the providers leave room, or where a test wants them different.

use serde::{Deserialize, Serialize};

/// The switches of one world.
#[expect(clippy::struct_excessive_bools, reason = "switches are independent of each other")]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switches {
    /// The id of the only app that exists.
    pub(crate) app_id: String,
    /// Its secret.
    pub(crate) app_secret: String,
    /// Whether Graph refuses calls without `appsecret_proof`.
    pub(crate) require_proof: bool,
    /// Whether the person cancels the login dialog.
    pub(crate) deny_login: bool,
    /// The only permissions that the person ticks; `null` is all that are asked for.
    pub(crate) granted_scopes: Option<Vec<String>>,
    /// Whether lists have an empty page between their first and their last items.
    pub(crate) empty_middle_page: bool,
    /// The ids of the Pages that come without `access_token`.
    pub(crate) pages_without_token: Vec<String>,
    /// Whether a text equal to the Page's previous one is refused.
    pub(crate) duplicate_check: bool,
    /// The most Pages that one answer has.
    pub(crate) accounts_page_limit: usize,
    /// The most posts that one answer has.
    pub(crate) feed_page_limit: usize,
    /// The most characters of a post.
    pub(crate) message_limit: usize,
    /// The most bytes of a picture.
    pub(crate) picture_limit_bytes: usize,
    /// Whether answers about tokens leave out `expires_in`.
    pub(crate) omit_expires_in: bool,
    /// The percentage that the headers about rate limits show.
    pub(crate) usage_percent: u32,
    /// Whether reasoning models refuse a `temperature` other than 1.
    pub(crate) reject_temperature: bool,
    /// The only key that the language model takes; `null` is any but `sk-bad`.
    pub(crate) api_key: Option<String>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            app_id: "100200300400500".to_owned(),
            app_secret: "sandbox-app-secret".to_owned(),
            require_proof: true,
            deny_login: false,
            granted_scopes: None,
            empty_middle_page: false,
            pages_without_token: Vec::new(),
            duplicate_check: false,
            accounts_page_limit: 100,
            feed_page_limit: 100,
            message_limit: 63_206,
            picture_limit_bytes: 4 * 1024 * 1024,
            omit_expires_in: false,
            usage_percent: 1,
            reject_temperature: false,
            api_key: None,
        }
    }
}
