//! The providers, and people as these know them.

use super::{
    super::{is_address, store::Names},
    ExternalLoginError,
};

/// The longest id that `OpenID Connect` allows.
const LONGEST_SUBJECT: usize = 255;

/// The longest name that is kept.
const LONGEST_NAME: usize = 100;

/// Where people sign in elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Google.
    Google,
    /// GitHub.
    Github,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Google, Self::Github];

    /// As stored, and as in addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Github => "github",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Google => "Google",
            Self::Github => "GitHub",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }

    /// What is asked for: who it is, and the address.
    pub(super) fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Google => &["openid", "email", "profile"],
            Self::Github => &["read:user", "user:email"],
        }
    }
}

/// Somebody as a provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The provider.
    pub provider: Provider,
    /// What it calls the person for good.
    pub subject: String,
    /// The person's address, if the provider verified it.
    pub email: Option<String>,
    /// The first name; may be empty.
    pub first_name: String,
    /// The last name; may be empty.
    pub last_name: String,
    /// The address of a picture.
    pub picture_url: Option<String>,
}

impl ExternalIdentity {
    /// Takes what the provider said as far as it can be stored.
    pub(super) fn new(
        provider: Provider,
        subject: &str,
        email: Option<String>,
        names: Names<'_>,
        picture_url: Option<String>,
    ) -> Result<Self, ExternalLoginError> {
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT || subject.contains(char::is_control) {
            return Err(ExternalLoginError::UnexpectedResponse { status: 200 });
        }
        let is_picture = |url: &String| {
            url.starts_with("https://")
                && url.len() <= 2000
                && !url.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        Ok(Self {
            provider,
            subject: subject.to_owned(),
            email: email.filter(|email| is_address(email)),
            first_name: kept(names.first),
            last_name: kept(names.last),
            picture_url: picture_url.filter(is_picture),
        })
    }
}

fn kept(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    name.trim().chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(
        subject: &str,
        email: &str,
        name: &str,
        picture_url: &str,
    ) -> Result<ExternalIdentity, ExternalLoginError> {
        ExternalIdentity::new(
            Provider::Github,
            subject,
            Some(email.to_owned()),
            Names::of(name),
            Some(picture_url.to_owned()),
        )
    }

    #[test]
    fn what_cannot_be_stored_is_left_out() {
        let odd = "a".repeat(2000);
        let kept = identity("1", "ada @example.com", &format!("Ada\0 {odd}"), "http://example.com/ada.png").unwrap();
        assert_eq!((kept.email, kept.picture_url, kept.first_name.as_str()), (None, None, "Ada"));
        assert_eq!(kept.last_name.len(), 100);
        let kept = identity("1", "ada@example.com", "", &format!("https://{odd}")).unwrap();
        assert_eq!((kept.email.as_deref(), kept.picture_url), (Some("ada@example.com"), None));
        for email in ["", "ada", "@example.com", "ada@", "a@b@c", "ada@example.com\0"] {
            assert_eq!(identity("1", email, "", "").unwrap().email, None, "{email}");
        }
    }

    #[test]
    fn an_account_without_a_usable_id_is_none() {
        for subject in ["", "1\0", &"1".repeat(256)] {
            assert!(identity(subject, "ada@example.com", "Ada", "").is_err(), "{subject}");
        }
    }
}
