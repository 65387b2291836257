//! The SQL of logins, tokens and accounts.

mod accounts;
mod logins;
mod tokens;

pub use accounts::*;
pub use logins::*;
pub use tokens::*;
