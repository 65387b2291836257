//! The form of a workspace's settings.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jobs::{
    people::Address,
    secrets::fingerprint,
    tenants::{settings::Settings, store::TenantRow},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::console::parts::Field;

/// The longest name.
const MAX_NAME: usize = 200;

/// The settings in the form. An empty text means that there is no value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Form {
    name: String,
    email: String,
    company_name: String,
    description: String,
    country: String,
    time_zone: String,
    brand_hashtag: String,
    tone: String,
    shop_url: String,
    primary_color: String,
    secondary_color: String,
    /// The version of the settings when the form was shown. It differs if somebody else changed
    /// them since.
    #[serde(skip_serializing)]
    pub(super) version: String,
}

impl Form {
    /// Returns the form with the stored settings.
    pub(super) fn of(tenant: &TenantRow, settings: &Settings) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut form = Self {
            name: tenant.name.clone(),
            email: text(&tenant.email),
            company_name: text(&settings.company_name),
            description: text(&settings.description),
            country: text(&settings.country),
            time_zone: text(&settings.time_zone),
            brand_hashtag: text(&settings.brand_hashtag),
            tone: text(&settings.tone),
            shop_url: text(&settings.shop_url),
            primary_color: text(&settings.primary_color),
            secondary_color: text(&settings.secondary_color),
            version: String::new(),
        };
        form.version = URL_SAFE_NO_PAD.encode(fingerprint(&json!(form).to_string()));
        form
    }

    /// Returns the typed values with the current version, so that they replace the current
    /// settings.
    pub(super) fn beside(self, now: &Self) -> Self {
        Self { version: now.version.clone(), ..self }
    }

    /// Returns the first wrong field that the use case does not check.
    pub(super) fn objection(&self) -> Option<(&'static str, String)> {
        if self.name.trim().is_empty() || self.name.chars().count() > MAX_NAME {
            return Some(("name", format!("Enter a name of 1 to {MAX_NAME} characters.")));
        }
        if !self.email.is_empty() && Address::parse(&self.email).is_err() {
            return Some(("email", "Enter an address such as name@example.com.".to_owned()));
        }
        None
    }

    /// Applies the form. An empty email address leaves the stored one.
    pub(super) fn apply(&self, tenant: &mut TenantRow, settings: &mut Settings) {
        // Browsers end lines with both characters.
        let text = |value: &String| Some(value.replace("\r\n", "\n")).filter(|value| !value.is_empty());
        tenant.name.clone_from(&self.name);
        tenant.email = text(&self.email).or(tenant.email.take());
        settings.company_name = text(&self.company_name);
        settings.description = text(&self.description);
        settings.country = text(&self.country);
        settings.time_zone = text(&self.time_zone);
        settings.brand_hashtag = text(&self.brand_hashtag);
        settings.tone = text(&self.tone);
        settings.shop_url = text(&self.shop_url);
        settings.primary_color = text(&self.primary_color);
        settings.secondary_color = text(&self.secondary_color);
    }

    /// Returns the fields to show.
    pub(super) fn fields(self) -> Vec<Field> {
        let email = Field { kind: "email", ..Field::text("email", "E-mail address", self.email) };
        let description = Field { kind: "lines", ..Field::text("description", "Description", self.description) };
        let shop = Field { kind: "url", ..Field::text("shop_url", "Shop", self.shop_url) };
        vec![
            Field::text("name", "Name", self.name).at_most(MAX_NAME).required(),
            email.hinted("Whom to write to").at_most(254),
            Field::text("company_name", "Company", self.company_name).at_most(200),
            description.hinted("What it is, for people and for AI").at_most(4000),
            Field::text("country", "Country", self.country).hinted("Two letters, such as DE").at_most(2),
            Field::text("time_zone", "Time zone", self.time_zone).hinted("Such as Europe/Berlin; UTC if empty"),
            Field::text("brand_hashtag", "Hashtag", self.brand_hashtag).hinted("Such as #krustypizza").at_most(100),
            Field::text("tone", "Tone", self.tone).hinted("How its texts are to sound").at_most(500),
            shop.hinted("Where it sells: https://...").at_most(2000),
            Field::text("primary_color", "Main colour", self.primary_color).hinted("Such as #c83c28").at_most(7),
            Field::text("secondary_color", "Second colour", self.secondary_color).hinted("Such as #2f6f4f").at_most(7),
        ]
    }
}
