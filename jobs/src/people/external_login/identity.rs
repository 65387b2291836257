//! A person's identity at a provider.

use super::super::{Address, store::Names};
use crate::{
    name::Name,
    providers::{Profile, Provider},
};

/// The longest id that `OpenID Connect` allows.
const LONGEST_SUBJECT: usize = 255;

/// The longest name that is stored.
const LONGEST_NAME: usize = 100;

/// A person as the provider describes them.
#[derive(Debug, Clone)]
pub struct ExternalIdentity {
    /// The provider.
    pub provider: Provider,
    /// The provider's permanent id for the person.
    pub subject: String,
    /// The person's address, only if the provider verified it.
    pub email: Option<Address>,
    /// The first name; may be empty.
    pub first_name: String,
    /// The last name; may be empty.
    pub last_name: String,
    /// The address of a picture.
    pub picture_url: Option<String>,
}

impl ExternalIdentity {
    /// Returns the profile as far as it can be stored: names are shortened, a bad address or
    /// picture is dropped. Returns `None` if the id itself cannot be stored.
    pub(super) fn new(provider: Provider, profile: Profile) -> Option<Self> {
        let subject = profile.subject;
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT || subject.contains(char::is_control) {
            return None;
        }
        let is_picture = |url: &String| {
            url.starts_with("https://")
                && url.len() <= 2000
                && !url.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        let names = match (&profile.first_name, &profile.last_name) {
            (None, None) => Names::of(profile.name.as_deref().unwrap_or_default()),
            (first, last) => {
                Names { first: first.as_deref().unwrap_or_default(), last: last.as_deref().unwrap_or_default() }
            }
        };
        Some(Self {
            provider,
            subject,
            email: profile.email.and_then(|email| Address::parse(&email).ok()),
            first_name: stored(names.first),
            last_name: stored(names.last),
            picture_url: profile.picture_url.filter(is_picture),
        })
    }
}

fn stored(name: &str) -> String {
    Name::of_foreign(name, LONGEST_NAME).map(String::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(subject: &str, email: &str, name: &str, picture_url: &str) -> Option<ExternalIdentity> {
        let profile = Profile {
            subject: subject.to_owned(),
            email: Some(email.to_owned()),
            name: Some(name.to_owned()),
            picture_url: Some(picture_url.to_owned()),
            ..Profile::default()
        };
        ExternalIdentity::new(Provider::Github, profile)
    }

    #[test]
    fn what_cannot_be_stored_is_left_out() {
        let odd = "a".repeat(2000);
        let kept = identity("1", "ada @example.com", &format!("Ada\0 {odd}"), "http://example.com/ada.png").unwrap();
        assert!(kept.email.is_none());
        assert_eq!((kept.picture_url, kept.first_name.as_str()), (None, "Ada"));
        assert_eq!(kept.last_name.len(), 100);
        let kept = identity("1", "ada@example.com", "", &format!("https://{odd}")).unwrap();
        assert_eq!((kept.email.as_ref().map(Address::as_str), kept.picture_url), (Some("ada@example.com"), None));
        for email in ["", "ada", "\u{212a}im@example.com", "ada@example.com\0"] {
            assert!(identity("1", email, "", "").unwrap().email.is_none(), "{email}");
        }
    }

    #[test]
    fn an_account_without_a_usable_id_is_none() {
        for subject in ["", "1\0", &"1".repeat(256)] {
            assert!(identity(subject, "ada@example.com", "Ada", "").is_none(), "{subject}");
        }
    }
}
