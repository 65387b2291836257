//! The change of a tenant.

use std::collections::BTreeMap;

use jobs::{
    ids::AssetId,
    people::Address,
    tenants::{
        settings::{self, Settings},
        store::TenantRow,
    },
};
use poem_openapi::{Object, types::MaybeUndefined};
use uuid::Uuid;

use super::views::{HashtagCounts, OnUnknown, PlanName};
use crate::http::Named;

/// Settings to change. Absent ones do not change; null clears one.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct TenantPatch {
    /// The tenant's name.
    name: Option<Named<1, 200>>,
    /// The tenant's contact address.
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    pub(super) email: Option<String>,
    /// The plan. Only operators change it.
    pub(super) plan: Option<PlanName>,
    /// The company behind it.
    company_name: MaybeUndefined<String>,
    /// A description of the tenant, for people and for AI.
    description: MaybeUndefined<String>,
    /// The country by ISO 3166-1, such as DE.
    country: MaybeUndefined<String>,
    /// The time zone by its IANA name, such as Europe/Berlin; null means UTC.
    time_zone: MaybeUndefined<String>,
    /// The brand's hashtag, such as #krustypizza.
    brand_hashtag: MaybeUndefined<String>,
    /// The tone of its texts.
    tone: MaybeUndefined<String>,
    hashtag_counts: MaybeUndefined<HashtagCounts>,
    /// The address of its shop.
    shop_url: MaybeUndefined<String>,
    /// The first brand color, such as #c83c28.
    primary_color: MaybeUndefined<String>,
    /// The second brand color, such as #c83c28.
    secondary_color: MaybeUndefined<String>,
    /// The id of one of its pictures.
    logo_asset_id: MaybeUndefined<Uuid>,
    /// The name that this product has at the tenant, for resellers.
    product_name: MaybeUndefined<String>,
    /// True to leave the maker's name out of pages and mails.
    hides_footer: MaybeUndefined<bool>,
    /// True to let the tenant's people in only with a second factor.
    requires_second_factor: MaybeUndefined<bool>,
    /// The minutes for which a post is looked for if the network does not show it; null means 10.
    #[oai(validator(minimum(value = "1"), maximum(value = "1440")))]
    unknown_after_minutes: MaybeUndefined<i32>,
    /// The action on such a post after that time; null means `ask`.
    on_unknown: MaybeUndefined<OnUnknown>,
}

impl TenantPatch {
    /// Applies the given changes. `email` is the parsed address of the field.
    pub(super) fn apply(self, email: Option<&Address>, tenant: &mut TenantRow, settings: &mut Settings) {
        if let Some(name) = self.name {
            tenant.name = name.0.into();
        }
        if let Some(email) = email {
            tenant.email = Some(email.to_string());
        }
        tenant.plan = self.plan.map_or(tenant.plan, Into::into);
        change(&mut settings.company_name, self.company_name);
        change(&mut settings.description, self.description);
        change(&mut settings.country, self.country);
        change(&mut settings.time_zone, self.time_zone);
        change(&mut settings.brand_hashtag, self.brand_hashtag);
        change(&mut settings.tone, self.tone);
        change(&mut settings.shop_url, self.shop_url);
        change(&mut settings.primary_color, self.primary_color);
        change(&mut settings.secondary_color, self.secondary_color);
        change(&mut settings.product_name, self.product_name);
        let mut logo = settings.logo_asset_id.map(|AssetId(id)| id);
        change(&mut logo, self.logo_asset_id);
        settings.logo_asset_id = logo.map(AssetId);
        change_flag(&mut settings.hides_footer, self.hides_footer);
        change_flag(&mut settings.requires_second_factor, self.requires_second_factor);
        change(&mut settings.unknown_after_minutes, self.unknown_after_minutes);
        let mut on_unknown = settings.on_unknown.map(OnUnknown::from);
        change(&mut on_unknown, self.on_unknown);
        settings.on_unknown = on_unknown.map(settings::OnUnknown::from);
        match self.hashtag_counts {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => settings.hashtag_counts.clear(),
            MaybeUndefined::Value(counts) => settings.hashtag_counts = by_network(&counts),
        }
    }
}

fn change<T>(field: &mut Option<T>, asked: MaybeUndefined<T>) {
    match asked {
        MaybeUndefined::Undefined => {}
        MaybeUndefined::Null => *field = None,
        MaybeUndefined::Value(value) => *field = Some(value),
    }
}

/// Null means false.
fn change_flag(field: &mut bool, asked: MaybeUndefined<bool>) {
    match asked {
        MaybeUndefined::Undefined => {}
        MaybeUndefined::Null => *field = false,
        MaybeUndefined::Value(value) => *field = value,
    }
}

fn by_network(counts: &HashtagCounts) -> BTreeMap<String, u8> {
    let pairs = [("facebook", counts.facebook), ("instagram", counts.instagram)];
    pairs.into_iter().filter_map(|(network, count)| Some((network.to_owned(), count?))).collect()
}
