//! Tenants as clients see them.

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

use crate::{api::jobs::EnqueuedView, http::paging::Listed};

/// What a tenant pays for.
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
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(super) name: String,
    /// Whom to write to.
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    pub(super) email: String,
    /// What it pays for: basic unless operators say otherwise.
    pub(super) plan: Option<PlanName>,
    /// Another of the caller's tenants, whose settings it begins with. Name, address and plan are its own, and so is the logo, as
    /// pictures stay with their tenant.
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

/// Hashtags under a post, by network: 0 to 30.
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
    /// What it is, for people and for AI.
    description: Option<String>,
    /// ISO 3166-1, such as DE.
    country: Option<String>,
    /// As IANA calls it, such as Europe/Berlin; UTC if absent.
    time_zone: Option<String>,
    /// Such as #krustypizza.
    brand_hashtag: Option<String>,
    /// How its texts are to sound.
    tone: Option<String>,
    hashtag_counts: HashtagCounts,
    shop_url: Option<String>,
    /// Such as #c83c28.
    primary_color: Option<String>,
    /// Such as #c83c28.
    secondary_color: Option<String>,
    /// One of its pictures.
    logo_asset_id: Option<Uuid>,
    /// What this product is called there, for those who resell it.
    product_name: Option<String>,
    /// Whether pages and mails leave out who made this.
    hides_footer: bool,
    /// How many minutes a post is looked for that the network does not show, before nobody can tell whether it is out; 10 if absent.
    unknown_after_minutes: Option<i32>,
    /// What becomes of it then: `ask` (a person says) or `fail`; `ask` if absent.
    on_unknown: Option<OnUnknown>,
}

/// What becomes of a post of which nobody can tell whether it is out.
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
            unknown_after_minutes: settings.unknown_after_minutes,
            on_unknown: settings.on_unknown.map(OnUnknown::from),
        }
    }
}

/// What a tenant has used in all.
#[derive(Debug, Object)]
pub(crate) struct TotalsView {
    /// Pictures that it uploaded.
    images: i64,
    /// Texts that AI wrote for it.
    ai_generations: i64,
    /// Posts, counted on each account.
    posts: i64,
    /// What its pictures take.
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
    /// What the caller is in it: owner, admin or member; absent for keys.
    pub(super) role: Option<String>,
    /// For operators.
    pub(super) usage: Option<TotalsView>,
}

impl Listed for TenantItem {
    const PAGE: &'static str = "TenantPage";
    const DESCRIPTION: &'static str = "A page of tenants.";
}

#[derive(ApiResponse)]
pub(crate) enum CreatedTenant {
    /// The tenant is there.
    #[oai(status = 201)]
    Created(Json<TenantView>),
}

/// A tenant on its way out.
#[derive(Debug, Object)]
pub(crate) struct ErasureView {
    #[oai(flatten)]
    pub(super) job: EnqueuedView,
    pub(super) tenant_id: Uuid,
}

#[derive(ApiResponse)]
pub(crate) enum AcceptedErasure {
    /// A job erases the tenant. It belongs to no tenant, so operators see it.
    #[oai(status = 202)]
    Accepted(
        Json<ErasureView>,
        /// The job's address.
        #[oai(header = "Location")]
        String,
    ),
}

/// How much of a limit is used.
#[derive(Debug, Object)]
pub(crate) struct GaugeView {
    used: i64,
    limit: i64,
    /// When the period began, in the tenant's time zone; absent where the limit is for good.
    period_start: Option<DateTime<Utc>>,
    /// When it ends and nothing is used again.
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

/// What a tenant has used of what its plan allows.
#[derive(Debug, Object)]
pub(crate) struct UsageView {
    plan: String,
    /// Posts today, counted on each account when they are scheduled.
    posts: GaugeView,
    /// Uploaded pictures.
    images: GaugeView,
    /// Texts by AI this month, with those that are being written.
    ai_generations: GaugeView,
    /// Posts since there is this tenant.
    posts_in_all: i64,
    /// Texts by AI since there is this tenant.
    ai_generations_in_all: i64,
    /// What all its pictures take.
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
