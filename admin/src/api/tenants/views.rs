//! The views and bodies of tenants.

use chrono::{DateTime, Utc};
use jobs::{
    ids::AssetId,
    tenants::{
        plans,
        settings::{self, Settings},
        store::{TenantRow, TenantSummary},
        usage::{Gauge, Usage},
    },
};
use poem_openapi::{ApiResponse, Enum, Object, payload::Json};
use uuid::Uuid;

use crate::{
    api::jobs::EnqueuedView,
    http::{Named, paging::Listed},
};

/// A plan that tenants pay for.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "Plan", rename_all = "lowercase")]
pub(crate) enum PlanName {
    Basic,
    Pro,
    Enterprise,
}

impl From<PlanName> for plans::Plan {
    fn from(plan: PlanName) -> Self {
        match plan {
            PlanName::Basic => Self::Basic,
            PlanName::Pro => Self::Pro,
            PlanName::Enterprise => Self::Enterprise,
        }
    }
}

/// A tenant to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, rename = "NewTenant")]
pub(crate) struct TenantBody {
    /// The tenant's name.
    pub(super) name: Named<1, 200>,
    /// The tenant's contact address.
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    pub(super) email: String,
    /// The plan; basic by default. Only operators choose another.
    pub(super) plan: Option<PlanName>,
    /// Another of the caller's tenants, to copy settings from. Name, address, plan and logo are not
    /// copied, as pictures stay with their tenant.
    pub(super) copy_settings_from: Option<Uuid>,
}

/// A restaurant, an agency's client, or one person's organization.
#[derive(Debug, Object)]
pub(crate) struct TenantBasics {
    id: Uuid,
    name: String,
    email: Option<String>,
    plan: String,
    created_at: DateTime<Utc>,
}

impl From<TenantRow> for TenantBasics {
    fn from(row: TenantRow) -> Self {
        Self {
            id: row.id.0,
            name: row.name,
            email: row.email,
            plan: row.plan.name().to_owned(),
            created_at: row.created_at,
        }
    }
}

/// Numbers of hashtags under a post, by network: 0 to 30.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct HashtagCounts {
    #[oai(skip_serializing_if_is_none, validator(minimum(value = "0"), maximum(value = "30")))]
    pub(super) facebook: Option<u8>,
    #[oai(skip_serializing_if_is_none, validator(minimum(value = "0"), maximum(value = "30")))]
    pub(super) instagram: Option<u8>,
}

/// A tenant with its settings.
#[derive(Debug, Object)]
pub(crate) struct TenantView {
    #[oai(flatten)]
    about: TenantBasics,
    /// The company behind it.
    company_name: Option<String>,
    /// A description of the tenant, for people and for AI.
    description: Option<String>,
    /// The country by ISO 3166-1, such as DE.
    country: Option<String>,
    /// The time zone by its IANA name, such as Europe/Berlin; UTC if absent.
    time_zone: Option<String>,
    /// The brand's hashtag, such as #krustypizza.
    brand_hashtag: Option<String>,
    /// The tone of its texts.
    tone: Option<String>,
    hashtag_counts: HashtagCounts,
    shop_url: Option<String>,
    /// The first brand color, such as #c83c28.
    primary_color: Option<String>,
    /// The second brand color, such as #c83c28.
    secondary_color: Option<String>,
    /// The id of one of its pictures.
    logo_asset_id: Option<Uuid>,
    /// The name that this product has at the tenant, for resellers.
    product_name: Option<String>,
    /// True if pages and mails leave out the maker's name.
    hides_footer: bool,
    /// True if the tenant's people get in only with a second factor.
    requires_second_factor: bool,
    /// The minutes for which a post is looked for if the network does not show it; 10 if absent.
    /// After that its outcome is unknown.
    unknown_after_minutes: Option<i32>,
    /// The action on a post with unknown outcome: `ask` (a person decides) or `fail`; `ask` if
    /// absent.
    on_unknown: Option<OnUnknown>,
}

/// An action on a post with unknown outcome.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum OnUnknown {
    Ask,
    Fail,
}

impl From<settings::OnUnknown> for OnUnknown {
    fn from(what: settings::OnUnknown) -> Self {
        match what {
            settings::OnUnknown::Ask => Self::Ask,
            settings::OnUnknown::Fail => Self::Fail,
        }
    }
}

impl From<OnUnknown> for settings::OnUnknown {
    fn from(what: OnUnknown) -> Self {
        match what {
            OnUnknown::Ask => Self::Ask,
            OnUnknown::Fail => Self::Fail,
        }
    }
}

impl TenantView {
    pub(super) fn new(tenant: TenantRow, settings: Settings) -> Self {
        let count = |network: &str| settings.hashtag_counts.get(network).copied();
        Self {
            about: tenant.into(),
            hashtag_counts: HashtagCounts { facebook: count("facebook"), instagram: count("instagram") },
            company_name: settings.company_name,
            description: settings.description,
            country: settings.country,
            time_zone: settings.time_zone,
            brand_hashtag: settings.brand_hashtag,
            tone: settings.tone,
            shop_url: settings.shop_url,
            primary_color: settings.primary_color,
            secondary_color: settings.secondary_color,
            logo_asset_id: settings.logo_asset_id.map(|AssetId(id)| id),
            product_name: settings.product_name,
            hides_footer: settings.hides_footer,
            requires_second_factor: settings.requires_second_factor,
            unknown_after_minutes: settings.unknown_after_minutes,
            on_unknown: settings.on_unknown.map(OnUnknown::from),
        }
    }
}

/// A tenant's usage since it exists.
#[derive(Debug, Object)]
pub(crate) struct TotalsView {
    /// The number of pictures that it uploaded.
    images: i64,
    /// The number of texts that AI wrote for it.
    ai_generations: i64,
    /// The number of posts; each account counts.
    posts: i64,
    /// The size of its pictures in bytes.
    storage_bytes: i64,
}

impl From<&TenantSummary> for TotalsView {
    fn from(row: &TenantSummary) -> Self {
        Self {
            images: row.images,
            ai_generations: row.ai_generations,
            posts: row.posts,
            storage_bytes: row.storage_bytes,
        }
    }
}

/// A tenant in a list.
#[derive(Debug, Object)]
pub(crate) struct TenantItem {
    #[oai(flatten)]
    pub(super) about: TenantBasics,
    /// The caller's role: owner, admin or member. Absent for keys.
    pub(super) role: Option<String>,
    /// The usage. Only operators see it.
    pub(super) usage: Option<TotalsView>,
}

impl Listed for TenantItem {
    const PAGE: &'static str = "TenantPage";
    const DESCRIPTION: &'static str = "A page of tenants.";
}

#[derive(ApiResponse)]
pub(crate) enum CreatedTenant {
    /// The tenant is made.
    #[oai(status = 201)]
    Created(Json<TenantView>),
}

/// The erasure of a tenant.
#[derive(Debug, Object)]
pub(crate) struct ErasureView {
    #[oai(flatten)]
    pub(super) job: EnqueuedView,
    pub(super) tenant_id: Uuid,
}

#[derive(ApiResponse)]
pub(crate) enum AcceptedErasure {
    /// A job erases the tenant. The job belongs to no tenant, so only operators see it.
    #[oai(status = 202)]
    Accepted(
        Json<ErasureView>,
        /// The job's address.
        #[oai(header = "Location")]
        String,
    ),
}

/// The usage of one limit.
#[derive(Debug, Object)]
pub(crate) struct GaugeView {
    used: i64,
    limit: i64,
    /// The start of the period in the tenant's time zone. Absent if the limit has no period.
    period_start: Option<DateTime<Utc>>,
    /// The end of the period, at which the usage starts again at zero.
    resets_at: Option<DateTime<Utc>>,
}

impl From<Gauge> for GaugeView {
    fn from(gauge: Gauge) -> Self {
        Self {
            used: gauge.used,
            limit: gauge.limit.into(),
            period_start: gauge.period.map(|period| period.start),
            resets_at: gauge.period.map(|period| period.end),
        }
    }
}

/// A tenant's usage of what its plan allows.
#[derive(Debug, Object)]
pub(crate) struct UsageView {
    plan: String,
    /// The posts of today, counted when they are scheduled. Each account counts.
    posts: GaugeView,
    /// The uploaded pictures.
    images: GaugeView,
    /// The texts by AI of this month, including those that are being written.
    ai_generations: GaugeView,
    /// The number of posts since the tenant exists.
    posts_in_all: i64,
    /// The number of texts by AI since the tenant exists.
    ai_generations_in_all: i64,
    /// The size of all its pictures in bytes.
    storage_bytes: i64,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            plan: usage.plan.name().to_owned(),
            posts: usage.posts.into(),
            images: usage.images.into(),
            ai_generations: usage.generations.into(),
            posts_in_all: usage.posts_in_all,
            ai_generations_in_all: usage.generations_in_all,
            storage_bytes: usage.storage_bytes,
        }
    }
}
