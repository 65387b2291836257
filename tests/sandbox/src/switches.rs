//! The switches of a world: the providers' behaviour where it may vary, or where a test wants it
//! different.

use serde::{Deserialize, Serialize};

use crate::text::Alteration;

/// A field of posts that a network may hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HiddenField {
    /// The app that published a post.
    Application,
    /// The author.
    From,
    /// Pictures and links.
    Attachments,
    /// The ids of pictures, in attachments and in what they contain.
    AttachmentTargets,
    /// The post of a picture.
    PageStoryId,
}

/// The form of a feed's link to the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedPaging {
    /// `cursors`, and `next` with `after`.
    Cursors,
    /// `next` alone, with `until` and `__paging_token`.
    NextOnly,
}

/// The switches of one world.
#[expect(clippy::struct_excessive_bools, reason = "switches are independent of each other")]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switches {
    /// The id of the only app that exists.
    pub(crate) app_id: String,
    /// Its secret.
    pub(crate) app_secret: String,
    /// Makes Graph refuse calls without `appsecret_proof`.
    pub(crate) require_proof: bool,
    /// Makes the person cancel the login dialog.
    pub(crate) deny_login: bool,
    /// Shows the login dialog as a page; `null` shows it to browsers only.
    pub(crate) dialog_page: Option<bool>,
    /// The only permissions that the person grants; `null` grants all that are requested.
    pub(crate) granted_scopes: Option<Vec<String>>,
    /// Gives lists an empty page between their first and their last items.
    pub(crate) empty_middle_page: bool,
    /// The ids of the Pages that are listed without `access_token`.
    pub(crate) pages_without_token: Vec<String>,
    /// Makes the feed refuse a text equal to the Page's previous one.
    pub(crate) duplicate_check: bool,
    /// The most Pages in one response.
    pub(crate) accounts_page_limit: usize,
    /// The most posts in one response.
    pub(crate) feed_page_limit: usize,
    /// The most characters of a post.
    pub(crate) message_limit: usize,
    /// The most bytes of a picture.
    pub(crate) picture_limit_bytes: usize,
    /// Omits `expires_in` from responses about tokens.
    pub(crate) omit_expires_in: bool,
    /// The percentage in the rate limit headers.
    pub(crate) usage_percent: u32,
    /// The minutes in those headers until calls are accepted again.
    pub(crate) regain_access_minutes: u32,
    /// The `Retry-After` of every response.
    pub(crate) retry_after: Option<String>,
    /// The form of a feed's link to the next page.
    pub(crate) feed_paging: FeedPaging,
    /// The seconds until the feed shows a new post. The post can be read by its id at once.
    pub(crate) feed_lag_seconds: u32,
    /// The fields that posts do not show.
    pub(crate) hidden_fields: Vec<HiddenField>,
    /// Omits `post_id` from the response to a published picture.
    pub(crate) omit_post_id: bool,
    /// The alterations of texts that are read, one after the other.
    pub(crate) text_alterations: Vec<Alteration>,
    /// Makes publishing need `pages_read_engagement` besides `pages_manage_posts`.
    pub(crate) publish_needs_read_scope: bool,
    /// Makes reasoning models refuse a `temperature` other than 1.
    pub(crate) reject_temperature: bool,
    /// The only key that the language model accepts; `null` accepts any but `sk-bad`.
    pub(crate) api_key: Option<String>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            app_id: "100200300400500".to_owned(),
            app_secret: "sandbox-app-secret".to_owned(),
            require_proof: true,
            deny_login: false,
            dialog_page: None,
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
            regain_access_minutes: 0,
            retry_after: None,
            feed_paging: FeedPaging::Cursors,
            feed_lag_seconds: 0,
            hidden_fields: Vec::new(),
            omit_post_id: false,
            text_alterations: Vec::new(),
            publish_needs_read_scope: true,
            reject_temperature: false,
            api_key: None,
        }
    }
}
