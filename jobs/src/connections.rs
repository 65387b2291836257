//! Connects accounts: a ticket, a login at the provider, tokens.
//!
//! A connection runs like this: [`begin`] makes a ticket. The browser opens it ([`open_ticket`]),
//! gets a cookie, and goes to the provider. It comes back with a code ([`accept_code`]), which is
//! stored encrypted for [`ExchangeOauthCode`]. The differences between providers are behind
//! [`crate::providers::Connector`].

mod check_token;
mod check_tokens;
mod connect_workspace;
mod connection;
mod deauthorize;
mod disconnect;
mod disconnect_account;
mod exchange_oauth_code;
mod flow;
mod need_person;
mod prune_connections;
mod refresh;
mod refresh_token;
mod refresh_tokens;
mod request_refresh;
pub mod store;
mod usable_token;

use need_person::{mark_dead, need_person};

pub use check_token::CheckToken;
pub use check_tokens::CheckTokens;
pub use connect_workspace::{ConnectWorkspace, end_connections};
pub use deauthorize::{Deauthorize, deauthorize};
pub use disconnect::{Waiting, disconnect};
pub use disconnect_account::DisconnectAccount;
pub use exchange_oauth_code::ExchangeOauthCode;
pub use flow::{CallbackError, CameBack, OpenError, Opened, accept_code, authorize, begin, find_ticket, open_ticket};
pub use prune_connections::PruneConnections;
pub use refresh_token::RefreshToken;
pub use refresh_tokens::RefreshTokens;
pub use request_refresh::request_refresh;
pub use usable_token::usable_token;
