//! The permissions that people are asked for. Source: "Permissions Reference for Meta
//! Technologies".

use std::str::FromStr;

/// Every permission that we can use, with its purpose. People are asked for all of them at once, so
/// that nobody has to connect again for a feature that comes later.
const KNOWN: [(&str, &str); 12] = [
    ("pages_show_list", "see the list of your Pages"),
    ("pages_read_engagement", "read what is on your Pages"),
    ("pages_manage_posts", "publish posts"),
    ("pages_manage_engagement", "answer comments"),
    ("pages_read_user_content", "read comments"),
    ("pages_manage_metadata", "learn at once what happens on your Pages"),
    ("read_insights", "read the figures of your Pages"),
    ("business_management", "see Pages that belong to a business"),
    ("instagram_basic", "see your Instagram accounts"),
    ("instagram_content_publish", "publish on Instagram"),
    ("instagram_manage_comments", "read and answer comments on Instagram"),
    ("instagram_manage_insights", "read the figures of your Instagram accounts"),
];

/// The permission without which no Page is listed.
const LISTING: &str = "pages_show_list";

/// The permissions without which nothing can be published or looked for afterwards. Source: Pages
/// API, "Posts", "Permissions".
pub(super) const PUBLISHING: [&str; 2] = ["pages_manage_posts", "pages_read_engagement"];

/// Returns the purpose of a permission in words for people.
pub(super) fn purpose_of(scope: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, _)| *known == scope).map(|(_, purpose)| *purpose)
}

/// The permissions to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<&'static str>);

impl Scopes {
    /// Returns their names.
    pub(super) fn names(&self) -> &[&'static str] {
        &self.0
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self(KNOWN.iter().map(|(name, _)| *name).collect())
    }
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let named: Vec<&str> = value.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let all = || KNOWN.map(|(name, _)| name).join(", ");
        if let Some(unknown) = named.iter().find(|name| KNOWN.iter().all(|(known, _)| known != *name)) {
            return Err(format!("{unknown} is not used here; it should be some of {}", all()));
        }
        let lacks = |needed: &&&str| !named.contains(*needed);
        if let Some(needed) = PUBLISHING.iter().chain(&[LISTING]).find(lacks) {
            return Err(format!("nothing can be published without {needed}"));
        }
        Ok(Self(KNOWN.iter().map(|(name, _)| *name).filter(|name| named.contains(name)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permissions_can_be_shortened_but_not_below_publishing() {
        let least = "pages_manage_posts, pages_show_list,pages_read_engagement";
        let shortened: Scopes = least.parse().unwrap();
        assert_eq!(shortened.names(), ["pages_show_list", "pages_read_engagement", "pages_manage_posts"]);
        assert_eq!(Scopes::default().names().len(), KNOWN.len());
        for (wrong, named) in [
            ("pages_show_list", "pages_manage_posts"),
            ("", "pages_manage_posts"),
            ("pages_manage_posts,pages_read_engagement", "pages_show_list"),
            ("pages_manage_posts,pages_read_user_engagement", "pages_read_user_engagement"),
        ] {
            assert!(wrong.parse::<Scopes>().unwrap_err().contains(named), "{wrong}");
        }
    }
}
