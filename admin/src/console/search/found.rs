//! One thing that the search found, as the page shows it.

use chrono::{DateTime, Utc};
use jobs::{
    connections::store::AccountStatus,
    engine::JobState,
    posts::store::DeliveryRow,
    search::{Hit, HitType},
};

use super::Results;
use crate::console::{
    visitor::Visitor,
    words::{self, Look, When},
};

/// One thing that was found.
pub(crate) struct Found {
    pub(crate) title: String,
    pub(crate) look: Option<Look>,
    /// The tenant, where there may be several.
    pub(crate) tenant: Option<String>,
    pub(crate) when: When,
    /// The page that tells more, if there is one.
    pub(crate) address: Option<String>,
    pub(crate) id: String,
    /// A post on each of its accounts; empty for other things.
    pub(crate) deliveries: Vec<Delivery>,
}

/// A post on one account.
pub(crate) struct Delivery {
    pub(crate) look: Look,
    pub(crate) when: When,
    pub(crate) error: String,
    /// The page of the job that publishes it, once there is one.
    pub(crate) address: Option<String>,
}

impl Found {
    pub(super) fn of(hit: &Hit, results: &Results, visitor: &Visitor) -> Self {
        let state = hit.state.as_deref().unwrap_or_default();
        let (title, look, address) = match hit.hit_type {
            HitType::Job => {
                (words::of_name(&hit.title), job_state(state), Some(visitor.to(&format!("/jobs/{}", hit.id))))
            }
            HitType::Account => {
                (hit.title.clone(), account_status(state), Some(visitor.to(&format!("/jobs?account={}", hit.id))))
            }
            HitType::Post | HitType::Picture => (hit.title.clone(), None, None),
        };
        let own = results.deliveries.iter().filter(|row| row.post_id.0 == hit.id);
        Self {
            title: if title.trim().is_empty() { "Without words".to_owned() } else { title },
            look,
            tenant: results.tenants.get(&hit.tenant_id).cloned(),
            when: When::of(hit.created_at, results.now),
            address,
            id: hit.id.to_string(),
            deliveries: own.map(|row| Delivery::of(row, visitor, results.now)).collect(),
        }
    }
}

impl Delivery {
    fn of(row: &DeliveryRow, visitor: &Visitor, now: DateTime<Utc>) -> Self {
        Self {
            look: words::delivery(row.state),
            when: When::of(row.published_at.unwrap_or(row.scheduled_at), now),
            error: row.error.clone().unwrap_or_default(),
            address: row.job_id.map(|id| visitor.to(&format!("/jobs/{id}"))),
        }
    }
}

fn job_state(name: &str) -> Option<Look> {
    JobState::ALL.into_iter().find(|state| state.name() == name).map(words::state)
}

fn account_status(name: &str) -> Option<Look> {
    let known = [AccountStatus::Active, AccountStatus::NeedsReauth, AccountStatus::Disconnected];
    known.into_iter().find(|status| status.name() == name).map(words::account_status)
}
