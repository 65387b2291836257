//! The settings of connecting accounts.

use clap::ValueEnum;

/// The settings of connecting accounts.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ConnectionsConfig {
    /// Accounts that several tenants connect, such as a Page of a restaurant and of its agency.
    /// refused: an account belongs to the tenant that connected it first.
    #[arg(long, env = "SHARED_ACCOUNTS", value_enum, default_value = "allowed")]
    pub shared_accounts: SharedAccounts,
}

/// The rule for an account that several tenants connect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SharedAccounts {
    /// Each tenant has its own connection.
    #[default]
    Allowed,
    /// Only the first tenant can connect it.
    Refused,
}
