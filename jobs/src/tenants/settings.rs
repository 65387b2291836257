//! The settings of a tenant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use unicode_normalization::char::is_combining_mark;
use url::Url;

use super::countries;
use crate::{
    ids::{AssetId, TenantId},
    name::{self, Name},
    providers::Provider,
};

/// The maximum number of hashtags in a post. Source: Instagram content publishing, "Limitations".
pub const MAX_HASHTAGS: u8 = 30;

/// The settings of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The company behind it.
    pub company_name: Option<String>,
    /// The description of the company, for people and for AI.
    pub description: Option<String>,
    /// The country, as an ISO 3166-1 code of two letters.
    pub country: Option<String>,
    /// The IANA name of the time zone; UTC if absent.
    pub time_zone: Option<String>,
    /// The company's own hashtag.
    pub brand_hashtag: Option<String>,
    /// The tone of its texts.
    pub tone: Option<String>,
    /// The number of hashtags in a post, by network.
    pub hashtag_counts: BTreeMap<String, u8>,
    /// The address of its shop.
    pub shop_url: Option<String>,
    /// `#rrggbb`.
    pub primary_color: Option<String>,
    /// `#rrggbb`.
    pub secondary_color: Option<String>,
    /// The picture with its logo.
    pub logo_asset_id: Option<AssetId>,
    /// The name that Linecook has in this tenant.
    pub product_name: Option<String>,
    /// True if pages and mails leave out who made this.
    pub hides_footer: bool,
    /// True if its people get in only with a second factor.
    #[serde(default)]
    pub requires_second_factor: bool,
    /// The time, in minutes, for which a post that the network does not show is looked for; 10
    /// minutes if absent.
    pub unknown_after_minutes: Option<i32>,
    /// The action after that time; a person is asked if absent.
    pub on_unknown: Option<OnUnknown>,
}

/// The action if nobody can tell if a post was published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum OnUnknown {
    /// Asks a person to say if it was published.
    #[default]
    Ask,
    /// Marks the post as failed. Nothing is sent again by itself.
    Fail,
}

/// A setting with an invalid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} should be {rule}")]
pub struct BadSetting {
    /// The name of the setting.
    pub field: &'static str,
    /// The rule that the value breaks.
    pub rule: &'static str,
}

impl Settings {
    /// Brings settings into their normal form, and validates them.
    ///
    /// # Errors
    /// Returns the first invalid setting.
    pub fn checked(mut self) -> Result<Self, BadSetting> {
        for (name, longest) in [(&mut self.company_name, 200), (&mut self.product_name, 100)] {
            if let Some(Ok(good)) = name.as_deref().map(|text| Name::parse(text, 1..=longest)) {
                *name = Some(good.into());
            }
        }
        if let Some(hashtag) = &mut self.brand_hashtag {
            *hashtag = name::composed(hashtag);
        }
        for color in [&mut self.primary_color, &mut self.secondary_color].into_iter().flatten() {
            color.make_ascii_lowercase();
        }
        let text = |value: &Option<String>, longest| value.as_ref().is_none_or(|text| is_text(text, longest));
        let name =
            |value: &Option<String>, longest| value.as_ref().is_none_or(|text| Name::parse(text, 1..=longest).is_ok());
        let all = |value: &Option<String>, is_good: fn(&str) -> bool| value.as_deref().is_none_or(is_good);
        let rules = [
            ("company_name", name(&self.company_name, 200), "a name of 1 to 200 characters"),
            ("description", text(&self.description, 4_000), "1 to 4,000 characters"),
            ("country", all(&self.country, countries::is_one), "two letters of ISO 3166-1, such as DE"),
            ("time_zone", all(&self.time_zone, is_zone), "a time zone of IANA, such as Europe/Berlin"),
            (
                "brand_hashtag",
                all(&self.brand_hashtag, is_hashtag),
                "# and 1 to 99 letters of any script, digits or underscores",
            ),
            ("tone", text(&self.tone, 500), "1 to 500 characters"),
            ("hashtag_counts", self.hashtag_counts.iter().all(is_count), "0 to 30 for each network"),
            ("shop_url", all(&self.shop_url, is_web_address), "an address that begins with https:// or http://"),
            ("primary_color", all(&self.primary_color, is_color), "a colour such as #c83c28"),
            ("secondary_color", all(&self.secondary_color, is_color), "a colour such as #c83c28"),
            ("unknown_after_minutes", self.unknown_after_minutes.is_none_or(is_patience), "1 to 1,440"),
            ("product_name", name(&self.product_name, 100), "a name of 1 to 100 characters"),
        ];
        match rules.into_iter().find(|(_, is_good, _)| !is_good) {
            Some((field, _, rule)) => Err(BadSetting { field, rule }),
            None => Ok(self),
        }
    }

    /// Returns the settings for another tenant, without the logo, because pictures belong to one
    /// tenant.
    #[must_use]
    pub fn for_another(self) -> Self {
        Self { logo_asset_id: None, ..self }
    }
}

fn is_text(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= longest && !text.contains('\0')
}

fn is_zone(name: &str) -> bool {
    name.parse::<chrono_tz::Tz>().is_ok()
}

fn is_hashtag(text: &str) -> bool {
    // Many scripts write vowels as marks.
    let is_good = |c: char| c.is_alphanumeric() || is_combining_mark(c) || c == '_';
    text.strip_prefix('#').is_some_and(|word| (1..=99).contains(&word.chars().count()) && word.chars().all(is_good))
}

fn is_count((network, count): (&String, &u8)) -> bool {
    let is_network = Provider::NETWORKS.iter().any(|known| known.name() == network);
    is_network && *count <= MAX_HASHTAGS
}

/// Returns true for a minute to a day. A search that fails is given up after a day too.
fn is_patience(minutes: i32) -> bool {
    (1..=1_440).contains(&minutes)
}

fn is_web_address(text: &str) -> bool {
    text.len() <= 2_000
        && Url::parse(text).is_ok_and(|url| {
            ["http", "https"].contains(&url.scheme())
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        })
}

fn is_color(text: &str) -> bool {
    text.len() == 7 && text.strip_prefix('#').is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Returns a tenant's settings, or the defaults if it has none.
pub async fn get(conn: &mut PgConnection, tenant_id: TenantId) -> Result<Settings, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        select company_name, description, country, time_zone, brand_hashtag, tone,
          hashtag_counts as "hashtag_counts: Json<BTreeMap<String, u8>>", shop_url, primary_color, secondary_color,
          logo_asset_id as "logo_asset_id: AssetId", product_name, hides_footer, requires_second_factor,
          unknown_after_minutes, on_unknown as "on_unknown: OnUnknown"
        from tenant_settings
        where tenant_id = $1
        "#,
        tenant_id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or_else(Settings::default, |row| Settings {
        company_name: row.company_name,
        description: row.description,
        country: row.country,
        time_zone: row.time_zone,
        brand_hashtag: row.brand_hashtag,
        tone: row.tone,
        hashtag_counts: row.hashtag_counts.0,
        shop_url: row.shop_url,
        primary_color: row.primary_color,
        secondary_color: row.secondary_color,
        logo_asset_id: row.logo_asset_id,
        product_name: row.product_name,
        hides_footer: row.hides_footer,
        requires_second_factor: row.requires_second_factor,
        unknown_after_minutes: row.unknown_after_minutes,
        on_unknown: row.on_unknown,
    }))
}

/// Replaces a tenant's settings.
///
/// # Errors
/// Returns a violated foreign key if the logo is not a picture of the tenant.
pub async fn put(conn: &mut PgConnection, tenant_id: TenantId, settings: &Settings) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        insert into tenant_settings (tenant_id, company_name, description, country, time_zone, brand_hashtag, tone,
          hashtag_counts, shop_url, primary_color, secondary_color, logo_asset_id, product_name, hides_footer,
          unknown_after_minutes, on_unknown, requires_second_factor)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        on conflict (tenant_id) do update set
          company_name = excluded.company_name,
          description = excluded.description,
          country = excluded.country,
          time_zone = excluded.time_zone,
          brand_hashtag = excluded.brand_hashtag,
          tone = excluded.tone,
          hashtag_counts = excluded.hashtag_counts,
          shop_url = excluded.shop_url,
          primary_color = excluded.primary_color,
          secondary_color = excluded.secondary_color,
          logo_asset_id = excluded.logo_asset_id,
          product_name = excluded.product_name,
          hides_footer = excluded.hides_footer,
          unknown_after_minutes = excluded.unknown_after_minutes,
          on_unknown = excluded.on_unknown,
          requires_second_factor = excluded.requires_second_factor
        ",
        tenant_id.0,
        settings.company_name,
        settings.description,
        settings.country,
        settings.time_zone,
        settings.brand_hashtag,
        settings.tone,
        Json(&settings.hashtag_counts) as _,
        settings.shop_url,
        settings.primary_color,
        settings.secondary_color,
        settings.logo_asset_id.map(|id| id.0),
        settings.product_name,
        settings.hides_footer,
        settings.unknown_after_minutes,
        settings.on_unknown as Option<OnUnknown>,
        settings.requires_second_factor
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Settings)) -> Result<Settings, BadSetting> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.checked()
    }

    #[test]
    fn what_can_be_is_taken() {
        let good = with(|s| {
            s.country = Some("DE".into());
            s.time_zone = Some("America/Argentina/Buenos_Aires".into());
            s.brand_hashtag = Some("#Größe_10".into());
            s.hashtag_counts = Provider::NETWORKS.map(|network| (network.name().into(), 30)).into();
            s.shop_url = Some("https://shop.example.com/?a=1".into());
            s.primary_color = Some("#C83C28".into());
        });
        assert_eq!(good.unwrap().primary_color.as_deref(), Some("#c83c28"));
        assert!(with(|_| {}).is_ok());
        for hashtag in ["#पिज़्ज़ा", "#พิซซ่า", "#ピザ", "#פיצה", "#بيتزا", "#пицца", "#2026", "#cafe\u{301}"]
        {
            let good = with(|s| s.brand_hashtag = Some(hashtag.to_owned())).unwrap();
            assert_eq!(good.brand_hashtag, Some(name::composed(hashtag)));
        }
    }

    #[test]
    fn what_cannot_be_names_its_field() {
        type Set = fn(&mut Settings, String);
        let table: [(&str, Set, &[&str]); 6] = [
            ("country", |s, v| s.country = Some(v), &["de", "XX", "DEU", ""]),
            ("time_zone", |s, v| s.time_zone = Some(v), &["Mars/Base", "europe/berlin", "", "+02:00"]),
            (
                "brand_hashtag",
                |s, v| s.brand_hashtag = Some(v),
                &["pizza", "#", "#a b", "#a#b", "##", "#a\u{200b}b", "#a-b"],
            ),
            ("shop_url", |s, v| s.shop_url = Some(v), &["javascript:alert(1)", "shop", "https://", "https://a:b@c.d"]),
            ("secondary_color", |s, v| s.secondary_color = Some(v), &["red", "#fff", "#gggggg", "#1234567", "é12345"]),
            ("company_name", |s, v| s.company_name = Some(v), &["", "  ", "a\0b", "a\u{202e}b"]),
        ];
        for (field, set, values) in table {
            for &value in values {
                let bad = with(|settings| set(settings, value.to_owned())).unwrap_err();
                assert_eq!(bad.field, field, "{value}");
            }
        }
        for minutes in [0, 1_441] {
            assert_eq!(with(|s| s.unknown_after_minutes = Some(minutes)).unwrap_err().field, "unknown_after_minutes");
        }
        for (network, count) in [(Provider::NETWORKS[0].name(), 31), ("myspace", 1), ("publer", 1)] {
            let bad = with(|s| s.hashtag_counts = [(network.to_owned(), count)].into()).unwrap_err();
            assert_eq!(bad.field, "hashtag_counts", "{network}");
        }
        assert_eq!(with(|s| s.tone = Some("x".repeat(501))).unwrap_err().field, "tone");
    }

    #[test]
    fn a_logo_stays_with_its_tenant() {
        let settings = Settings { logo_asset_id: Some(AssetId::new()), hides_footer: true, ..Settings::default() };
        assert_eq!(settings.for_another(), Settings { hides_footer: true, ..Settings::default() });
    }
}
