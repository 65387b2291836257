//! Connects accounts: a ticket, a login at the provider, tokens.
//!
//! A connection runs like this: [`begin`] makes a ticket, or somebody opens a link of
//! [`make_link`]. The browser opens it ([`open_ticket`]), gets a cookie, and goes to the provider.
//! It comes back with a code ([`accept_code`]), which is stored encrypted for
//! [`ExchangeOauthCode`]. That job connects the account behind the login. If there are several, a
//! person chooses ([`choose`]). [`Attempt`] is what people see of it. The differences between
//! providers are behind [`crate::providers::Connector`].

mod attempt;
mod check_token;
mod check_tokens;
mod choose;
mod config;
mod connect;
mod connect_links;
mod connect_workspace;
mod deauthorize;
mod disconnect;
mod disconnect_account;
mod exchange_oauth_code;
mod flow;
mod login;
mod need_person;
mod prune_connections;
mod refresh;
mod refresh_token;
mod refresh_tokens;
mod request_refresh;
pub mod store;
mod subscribe_account;
mod usable_token;

use need_person::{mark_dead, need_person};

pub use attempt::{Attempt, AttemptState, Problem, Report, find_attempt_of_browser, get_attempt};
pub use check_token::CheckToken;
pub use check_tokens::CheckTokens;
pub use choose::{ChooseError, choose};
pub use config::{ConnectionsConfig, SharedAccounts};
pub use connect_links::{find_link, make_link, open_link, revoke_link};
pub use connect_workspace::{ConnectWorkspace, end_connections};
pub use deauthorize::{Deauthorize, deauthorize};
pub use disconnect::{Waiting, disconnect};
pub use disconnect_account::DisconnectAccount;
pub use exchange_oauth_code::ExchangeOauthCode;
pub use flow::{
    Begun, CallbackError, CameBack, OpenError, Opened, accept_code, authorize, begin, end_login, find_ticket,
    open_ticket,
};
pub use login::CHOOSE_WITHIN;
pub use prune_connections::PruneConnections;
pub use refresh_token::RefreshToken;
pub use refresh_tokens::RefreshTokens;
pub use request_refresh::request_refresh;
pub use subscribe_account::SubscribeAccount;
pub use usable_token::usable_token;
