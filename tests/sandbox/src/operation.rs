//! The names of what a client can ask of a provider; the fault plan and the call counts go by them.

use serde::{Deserialize, Serialize};

/// One kind of call, whatever its path or version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// The browser opens Facebook's login dialog.
    LoginDialog,
    /// A code from the dialog is exchanged for a user token.
    ExchangeCode,
    /// A user token is exchanged for a long-lived one.
    ExchangeToken,
    /// Who a token belongs to.
    ReadMe,
    /// A person's Pages.
    ListAccounts,
    /// What a token is worth.
    DebugToken,
    /// What a person granted.
    ReadPermissions,
    /// A person's grant, or one permission of it, is taken back.
    RevokePermissions,
    /// A text, a link or staged pictures go to a Page.
    PublishFeed,
    /// A picture goes to a Page.
    PublishPhoto,
    /// A picture is uploaded unpublished, for a post to come.
    StagePhoto,
    /// A Page's posts, by any of the three edges.
    ReadFeed,
    /// One post or picture.
    ReadPost,
    /// One post or picture is taken down.
    DeletePost,
    /// A chat completion.
    ChatCompletion,
    /// The browser opens Google's page to sign in.
    GoogleDialog,
    /// A code of Google's is exchanged.
    GoogleToken,
    /// Who somebody is at Google.
    GoogleUser,
    /// The browser opens GitHub's page to sign in.
    GithubDialog,
    /// A code of GitHub's is exchanged.
    GithubToken,
    /// Who somebody is at GitHub.
    GithubUser,
    /// Which addresses somebody has at GitHub.
    GithubEmails,
    /// A call that no provider answers.
    Unknown,
}
