//! Connecting accounts: a ticket, a login at the provider, tokens.
//!
//! The run of one connection: [`begin`] makes a ticket; the browser opens it ([`open_ticket`]), is bound by a cookie and
//! goes to the provider; it comes back with a code ([`accept_code`]), which is stored encrypted for [`ExchangeOauthCode`]. What differs between providers is
//! behind [`crate::providers::Connector`].

mod connection;
mod exchange_oauth_code;
mod flow;
mod refresh_token;
mod refresh_tokens;
pub mod store;

pub use exchange_oauth_code::ExchangeOauthCode;
pub use flow::{CallbackError, CameBack, OpenError, Opened, accept_code, authorize, begin, open_ticket};
pub use refresh_token::RefreshToken;
pub use refresh_tokens::RefreshTokens;
