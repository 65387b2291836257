//! The names of the operations of all providers. The fault plan and the call counts use them.

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
    /// The owner of a token is read.
    ReadMe,
    /// A person's Pages are listed.
    ListAccounts,
    /// A token is described.
    DebugToken,
    /// A person's permissions are read.
    ReadPermissions,
    /// A person's grant, or one permission of it, is revoked.
    RevokePermissions,
    /// A text, a link or staged pictures are published on a Page.
    PublishFeed,
    /// A picture is published on a Page.
    PublishPhoto,
    /// A picture is uploaded unpublished, for a later post.
    StagePhoto,
    /// A Page's posts are listed, by any of the three edges.
    ReadFeed,
    /// One post or picture is read.
    ReadPost,
    /// One post or picture is deleted.
    DeletePost,
    /// A chat completion is requested.
    ChatCompletion,
    /// The language models are listed.
    ListModels,
    /// The browser opens Google's page to sign in.
    GoogleDialog,
    /// A code of Google's is exchanged for a token.
    GoogleToken,
    /// The user's identity at Google is read.
    GoogleUser,
    /// The browser opens GitHub's page to sign in.
    GithubDialog,
    /// A code of GitHub's is exchanged for a token.
    GithubToken,
    /// The user's identity at GitHub is read.
    GithubUser,
    /// The user's email addresses at GitHub are read.
    GithubEmails,
    /// A refresh token of the drive is exchanged.
    DriveToken,
    /// The user's identity at the drive is read.
    DriveUser,
    /// The user of a key is read at Publer.
    PublerUser,
    /// The workspaces of a key are listed at Publer.
    PublerWorkspaces,
    /// A workspace's accounts are listed at Publer.
    PublerAccounts,
    /// Posts are listed at Publer.
    PublerPosts,
    /// Posts are scheduled or published by Publer.
    PublerSchedule,
    /// A post is changed at Publer.
    PublerChangePost,
    /// Posts are deleted at Publer.
    PublerDeletePosts,
    /// A job of Publer is read.
    PublerJob,
    /// Media are listed at Publer.
    PublerMedia,
    /// A file is uploaded to Publer.
    PublerUpload,
    /// Media are imported by Publer.
    PublerImport,
    /// A call that no provider supports.
    Unknown,
}
