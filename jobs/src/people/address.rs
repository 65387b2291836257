//! Addresses that mail can be sent to: one check, and one form in which they are compared.

mod renew_stored;

use std::fmt;

use email_address::{EmailAddress, Options};

pub use self::renew_stored::{Unconverted, renew_stored};

/// The longest address that mail servers take, in bytes.
const LONGEST: usize = 254;

/// An address that mail can be sent to, such as `Ada@example.com`. The part before the @ is kept as
/// it was typed; the domain is in ASCII.
#[derive(Debug, Clone)]
pub struct Address(String);

/// The error for a text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address should look like name@example.com, with only ASCII letters before the @")]
pub struct BadAddress;

impl Address {
    /// Reads an address: no display name, no quotes, no IP address, and only ASCII before the @.
    /// Two addresses that differ in other letters there may look the same, and mail servers
    /// disagree on which of them are.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn parse(typed: &str) -> Result<Self, BadAddress> {
        let (local, domain) = typed.split_once('@').ok_or(BadAddress)?;
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| BadAddress)?;
        let address = format!("{local}@{domain}");
        let is_plain = address.is_ascii() && address.len() <= LONGEST && !local.contains('"');
        let last_label = domain.rsplit('.').next().unwrap_or_default();
        let is_name = !last_label.bytes().all(|byte| byte.is_ascii_digit());
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        let is_whole = EmailAddress::parse_with_options(&address, options).is_ok();
        if is_plain && is_name && is_whole { Ok(Self(address)) } else { Err(BadAddress) }
    }

    /// Returns the address as it is stored and as mail is sent to it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form in which addresses are compared. It is the same for all addresses of one
    /// mailbox. The columns `email_canonical` hold it.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(typed: &str) -> Option<String> {
        Address::parse(typed).ok().map(|address| address.canonical())
    }

    #[test]
    fn one_mailbox_has_one_canonical_form() {
        for same in ["Ada.Rossi@Bücher.example", "ada.rossi@BÜCHER.example", "ADA.ROSSI@xn--bcher-kva.example"] {
            assert_eq!(canonical(same).as_deref(), Some("ada.rossi@xn--bcher-kva.example"), "{same}");
        }
        // The sign of kelvin is a k in domains, as browsers and name servers have it.
        assert_eq!(canonical("a@\u{212a}itchen.example").as_deref(), Some("a@kitchen.example"));
        assert_ne!(canonical("ada+1@example.com"), canonical("ada@example.com"));
    }

    #[test]
    fn an_address_keeps_what_was_typed_before_the_at_and_is_ascii() {
        let address = Address::parse("Ada.Rossi@Bücher.example").unwrap();
        assert_eq!(address.as_str(), "Ada.Rossi@xn--bcher-kva.example");
    }

    #[test]
    fn what_is_none_or_may_be_taken_for_another_is_refused() {
        let long = format!("{}@{}.example", "a".repeat(64), "b.".repeat(92).trim_end_matches('.'));
        for wrong in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@b",
            "a@b@example.com",
            "a,b@c.example",
            "<a@c.example>",
            "Ada <a@c.example>",
            "a..b@c.example",
            ".a@c.example",
            "a.@c.example",
            "a@c..example",
            "a@.example",
            "a@c.example.",
            "a@-c.example",
            "a@c_d.example",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "\"a b\"@c.example",
            "\"a\"@c.example",
            "a b@c.example",
            " a@c.example",
            "a@c.example ",
            "a@c.example\n",
            "a@c.exa\0mple",
            "a\u{202e}@c.example",
            "a@c\u{202e}.example",
            "a@c\u{2066}x\u{2069}.example",
            "\u{212a}@c.example",
            "\u{130}@c.example",
            "адa@c.example",
            "a@xn--a.example",
            &format!("{}@c.example", "a".repeat(65)),
            &long,
        ] {
            assert_eq!(canonical(wrong), None, "{wrong:?}");
        }
    }
}
