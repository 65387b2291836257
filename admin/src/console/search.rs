//! The search: jobs, posts, pictures and accounts by an id or by words.

mod found;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use jobs::{
    engine::Tx,
    ids::TenantId,
    posts::store::{self as posts, DeliveryRow},
    search::{self, Hit, HitType, Wanted},
    tenants,
};
use poem::{Response, Result, handler, http::StatusCode, web::Data};
use uuid::Uuid;

use self::found::Found;
use super::{frame::Frame, visitor::Visitor};
use crate::{ApiError, html::page, state::AppState};

/// The page's address.
pub(super) const PATH: &str = "/search";

/// The shortest and the longest text to look for.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=200;

/// The types in the order of the page, with their words.
const TYPES: [(HitType, &str); 4] =
    [(HitType::Job, "Jobs"), (HitType::Post, "Posts"), (HitType::Picture, "Pictures"), (HitType::Account, "Accounts")];

#[derive(askama::Template)]
#[template(path = "console/search.html")]
struct SearchPage {
    frame: Frame,
    asked: String,
    /// False for a text that is too short or too long.
    fits: bool,
    groups: Vec<Group>,
    /// True if words find jobs only: for operators who look at all workspaces.
    is_everywhere: bool,
    jobs_address: String,
}

/// The hits of one type.
struct Group {
    label: &'static str,
    found: Vec<Found>,
}

/// The hits, with what the page says of them.
struct Results {
    hits: Vec<Hit>,
    deliveries: Vec<DeliveryRow>,
    /// The names of the tenants, where hits may be of several.
    tenants: BTreeMap<TenantId, String>,
    now: DateTime<Utc>,
}

/// Shows what was found.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    let asked = visitor.asked("q").unwrap_or_default();
    let fits = LENGTHS.contains(&asked.chars().count());
    let groups = if fits { groups(&find(state, &visitor, &asked).await?, &visitor) } else { Vec::new() };
    let shown = SearchPage {
        frame: Frame::new(state, &visitor, "Search").await?,
        asked,
        fits,
        groups,
        is_everywhere: visitor.is_operator() && visitor.workspace.is_none(),
        jobs_address: visitor.to("/jobs"),
    };
    Ok(page(StatusCode::OK, &shown))
}

async fn find(state: &AppState, visitor: &Visitor, asked: &str) -> Result<Results, ApiError> {
    let scope = visitor.scope()?;
    let tenant_id = match visitor.workspace {
        Some(id) => Some(id),
        None => visitor.caller.own_tenant()?,
    };
    let wanted = Wanted {
        jobs: true,
        posts: visitor.may("posts:read"),
        pictures: visitor.may("assets:read"),
        accounts: visitor.may("accounts:read"),
    };
    let mut tx = state.db.read(scope).await?;
    let hits = search::search(&mut tx, tenant_id, asked, wanted).await?;
    Ok(Results {
        now: tx.now().await?,
        deliveries: deliveries(&mut tx, &hits).await?,
        tenants: if tenant_id.is_none() { names(&mut tx, &hits).await? } else { BTreeMap::new() },
        hits,
    })
}

/// Returns the deliveries of the posts, which say what became of them. Posts of several tenants are
/// never found at once: only ids find posts over all tenants.
async fn deliveries(tx: &mut Tx, hits: &[Hit]) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    let found: Vec<&Hit> = hits.iter().filter(|hit| hit.hit_type == HitType::Post).collect();
    let Some(first) = found.first() else { return Ok(Vec::new()) };
    let ids: Vec<Uuid> = found.iter().map(|hit| hit.id).collect();
    posts::list_deliveries(tx, first.tenant_id, &ids).await
}

async fn names(tx: &mut Tx, hits: &[Hit]) -> Result<BTreeMap<TenantId, String>, sqlx::Error> {
    let ids: BTreeSet<TenantId> = hits.iter().map(|hit| hit.tenant_id).collect();
    tenants::store::names(tx, &ids.into_iter().collect::<Vec<_>>()).await
}

fn groups(results: &Results, visitor: &Visitor) -> Vec<Group> {
    let group = |(hit_type, label)| {
        let of_type = results.hits.iter().filter(|hit| hit.hit_type == hit_type);
        Group { label, found: of_type.map(|hit| Found::of(hit, results, visitor)).collect() }
    };
    TYPES.map(group).into_iter().filter(|group| !group.found.is_empty()).collect()
}
