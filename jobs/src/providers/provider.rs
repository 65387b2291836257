//! The providers, by name.

use super::NotOffered;

/// An external service in which accounts are connected or people sign in. [`super::LIST`] says
/// which ones this version supports, [`super::Providers`] which ones are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Provider {
    Facebook,
    Instagram,
    GoogleDrive,
    Onedrive,
    Dropbox,
    Publer,
    Google,
    Github,
}

impl Provider {
    /// All providers.
    pub const ALL: [Self; 8] = [
        Self::Facebook,
        Self::Instagram,
        Self::GoogleDrive,
        Self::Onedrive,
        Self::Dropbox,
        Self::Publer,
        Self::Google,
        Self::Github,
    ];

    /// The providers whose posts have hashtags.
    pub const NETWORKS: [Self; 2] = [Self::Facebook, Self::Instagram];

    /// The name that is stored and that is used in addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
            Self::GoogleDrive => "google_drive",
            Self::Onedrive => "onedrive",
            Self::Dropbox => "dropbox",
            Self::Publer => "publer",
            Self::Google => "google",
            Self::Github => "github",
        }
    }

    /// The name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Facebook => "Facebook",
            Self::Instagram => "Instagram",
            Self::GoogleDrive => "Google Drive",
            Self::Onedrive => "OneDrive",
            Self::Dropbox => "Dropbox",
            Self::Publer => "Publer",
            Self::Google => "Google",
            Self::Github => "GitHub",
        }
    }

    /// The word for an account there.
    #[must_use]
    pub fn account_noun(self) -> &'static str {
        match self {
            Self::Facebook => "Page",
            Self::Instagram
            | Self::GoogleDrive
            | Self::Onedrive
            | Self::Dropbox
            | Self::Publer
            | Self::Google
            | Self::Github => "account",
        }
    }

    /// Returns true if its accounts are opened by a key that people enter.
    pub(super) fn takes_key(self) -> bool {
        match self {
            Self::Publer => true,
            Self::Facebook
            | Self::Instagram
            | Self::GoogleDrive
            | Self::Onedrive
            | Self::Dropbox
            | Self::Google
            | Self::Github => false,
        }
    }

    /// Returns the provider of exactly that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }
}

/// The provider in a row. During a deployment, a newer version may have written one that is unknown
/// here.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct StoredProvider(pub String);

impl StoredProvider {
    /// Returns the provider.
    ///
    /// # Errors
    /// Returns [`NotOffered::Unknown`], on which a job waits for a process that knows the provider.
    pub fn known(&self) -> Result<Provider, NotOffered> {
        Provider::named(&self.0).ok_or_else(|| NotOffered::Unknown(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_its_name_to_the_letter() {
        for provider in Provider::ALL {
            assert_eq!(Provider::named(provider.name()), Some(provider));
            assert_eq!(StoredProvider(provider.name().to_owned()).known().unwrap(), provider);
        }
        for name in ["", "Facebook", "FACEBOOK", "facebook ", "face\u{200b}book", "google-drive", "myspace"] {
            assert_eq!(Provider::named(name), None, "{name}");
            assert!(matches!(StoredProvider(name.to_owned()).known(), Err(NotOffered::Unknown(_))), "{name}");
        }
    }
}
