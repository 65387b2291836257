//! The SQL of logins, tokens and accounts.

mod accounts;
mod deauthorizations;
mod disconnects;
mod health;
mod logins;
mod refreshes;
mod status;
mod tokens;

pub use accounts::*;
pub use deauthorizations::*;
pub use disconnects::*;
pub use health::*;
pub use logins::*;
pub use refreshes::*;
pub use status::AccountStatus;
use tokens::seconds;
pub use tokens::*;
