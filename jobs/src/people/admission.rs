//! The operator's settings for new accounts, and for the providers with which people sign in.

use std::str::FromStr;

use clap::ValueEnum;

use crate::providers::{LIST, Provider, Purpose};

/// The settings about people.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PeopleConfig {
    /// The people who may make an account: `open` (everybody), `invited` (people whom a tenant
    /// invites) or `closed` (nobody new).
    #[arg(long, env = "SIGN_UP", value_enum, default_value_t)]
    pub sign_up: SignUp,
    /// The providers that people may sign in with, of those that are set up: `google,github`. If it
    /// is not set, all of them.
    #[arg(long, env = "SIGN_IN_WITH")]
    pub sign_in_with: Option<SignInWith>,
}

/// The people who may make an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SignUp {
    /// Everybody.
    #[default]
    Open,
    /// People whom a tenant invites.
    Invited,
    /// Nobody new.
    Closed,
}

impl SignUp {
    /// Returns true if a new person may make an account.
    #[must_use]
    pub fn admits(self, is_invited: bool) -> bool {
        match self {
            Self::Open => true,
            Self::Invited => is_invited,
            Self::Closed => false,
        }
    }
}

/// Providers that people may sign in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInWith(pub Vec<Provider>);

impl FromStr for SignInWith {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let possible: Vec<Provider> =
            LIST.iter().filter(|listing| listing.purpose == Purpose::SignIn).map(|listing| listing.provider).collect();
        let listed = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        let providers = listed.map(|name| possible.iter().copied().find(|provider| provider.name() == name));
        providers.collect::<Option<_>>().map(Self).ok_or_else(|| {
            let names: Vec<&str> = possible.iter().map(|provider| provider.name()).collect();
            format!("it should list some of {}, separated by commas", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_to_sign_in_with_are_listed_by_name() {
        assert_eq!("google, github".parse(), Ok(SignInWith(vec![Provider::Google, Provider::Github])));
        assert_eq!("".parse(), Ok(SignInWith(Vec::new())));
        for wrong in ["facebook", "Google", "google;github"] {
            assert!(wrong.parse::<SignInWith>().is_err(), "{wrong}");
        }
    }
}
