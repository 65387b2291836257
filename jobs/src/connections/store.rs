//! The SQL of logins, tokens and accounts.

mod accounts;
mod attempts;
mod connect_links;
mod deauthorizations;
mod disconnects;
mod health;
mod logins;
mod refreshes;
mod status;
mod subscriptions;
mod tokens;

pub use accounts::*;
pub use attempts::*;
pub use connect_links::*;
pub use deauthorizations::*;
pub use disconnects::*;
pub use health::*;
pub use logins::*;
pub use refreshes::*;
pub use status::AccountStatus;
pub use subscriptions::*;
use tokens::seconds;
pub use tokens::*;
