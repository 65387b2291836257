//! The SQL of logins, tokens and accounts.

mod accounts;
mod logins;
mod status;
mod tokens;

pub use accounts::*;
pub use logins::*;
pub use status::AccountStatus;
pub use tokens::*;
