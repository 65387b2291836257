//! The people of a world, their Pages, and the permissions they granted to the app.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The days that an app may read a person's data after the person's last consent.
const DATA_ACCESS_DAYS: i64 = 90;

/// A person with a Facebook account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Person {
    /// A decimal string.
    pub(crate) id: String,
    /// The name as Facebook shows it.
    pub(crate) name: String,
    /// The Pages on which this person has a role.
    #[serde(default)]
    pub(crate) pages: Vec<Page>,
}

/// A Facebook Page as one of its people sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// A decimal string.
    pub(crate) id: String,
    /// The name as Facebook shows it.
    pub(crate) name: String,
    /// The tasks of this person on the Page.
    #[serde(default = "all_tasks")]
    pub(crate) tasks: Vec<String>,
    /// The Instagram account that belongs to the Page.
    #[serde(default)]
    pub(crate) instagram: Option<Instagram>,
}

/// An Instagram account that is linked to a Page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instagram {
    /// A decimal string.
    pub(crate) id: String,
    /// The name without `@`.
    pub(crate) username: String,
    /// False for a personal account, which apps cannot use.
    #[serde(default = "yes")]
    pub(crate) is_business: bool,
}

/// The permissions that a person granted to the app.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// Each permission that was ever requested; true if it is granted.
    pub(crate) permissions: BTreeMap<String, bool>,
    /// The accounts that the person shares with the app; `None` is everything.
    pub(crate) shared: Option<Shared>,
    /// The time when the person last went through the dialog.
    pub(crate) consented_at: DateTime<Utc>,
}

/// The Pages and Instagram accounts that a person ticked, by their ids.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) pages: Vec<String>,
    pub(crate) instagram: Vec<String>,
}

impl Person {
    /// Returns the person of a new world.
    pub(crate) fn first() -> Self {
        let page = Page {
            id: "10158250000000101".to_owned(),
            name: "Trattoria Aurora".to_owned(),
            tasks: all_tasks(),
            instagram: None,
        };
        Self { id: "10220000000000011".to_owned(), name: "Ada Rossi".to_owned(), pages: vec![page] }
    }

    /// Returns the Page with this id, if the person has a role on it.
    pub(crate) fn page(&self, page_id: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.id == page_id)
    }
}

impl Page {
    /// Returns true if this person may publish on the Page.
    pub(crate) fn may_publish(&self) -> bool {
        self.tasks.iter().any(|task| task == "CREATE_CONTENT" || task == "MANAGE")
    }

    /// Returns the name in the Page's address.
    pub(crate) fn username(&self) -> String {
        self.name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    }
}

impl Grant {
    /// Returns true if this permission is granted.
    pub(crate) fn allows(&self, permission: &str) -> bool {
        self.permissions.get(permission).copied().unwrap_or(false)
    }

    /// Returns true if the person shares this Page.
    pub(crate) fn shares(&self, page: &Page) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.pages.contains(&page.id))
    }

    /// Returns true if the app sees this Page: it is shared, or only its Instagram account is.
    pub(crate) fn shows(&self, page: &Page) -> bool {
        let instagram = page.instagram.as_ref();
        self.shares(page) || self.shared.as_ref().zip(instagram).is_some_and(|(it, own)| it.instagram.contains(&own.id))
    }

    /// Returns the time until which the app may read the person's data.
    pub(crate) fn data_access_expires_at(&self) -> DateTime<Utc> {
        self.consented_at + TimeDelta::days(DATA_ACCESS_DAYS)
    }
}

fn yes() -> bool {
    true
}

fn all_tasks() -> Vec<String> {
    ["ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE"].map(str::to_owned).into()
}
