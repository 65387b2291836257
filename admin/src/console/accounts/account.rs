//! An account as a line of the list.

use chrono::{DateTime, Utc};
use jobs::{
    connections::store::{AccountStatus, TokenHealth},
    providers::Connector,
};

use crate::{
    console::{
        connections::begin_address,
        notice::Tone,
        visitor::Visitor,
        words::{self, Look, When},
    },
    state::AppState,
};

/// An account, with the health of its connection.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) look: Look,
    /// The trouble, and its remedy; absent if all is well.
    pub(crate) trouble: Option<String>,
    /// The purposes of permissions that the person did not grant.
    pub(crate) declined: Vec<String>,
    pub(crate) connected: When,
    pub(crate) refreshed: When,
    pub(crate) refresh_failed: Option<(When, String)>,
    pub(crate) next_refresh: Option<When>,
    /// The time at which the provider's permission ends, if that is known.
    pub(crate) ends: Option<When>,
    /// The address that connects it again; absent for those who may not.
    pub(crate) again: Option<String>,
    /// The address that disconnects it; absent for those who may not.
    pub(crate) disconnect: Option<String>,
    /// The address that refreshes it now; absent if that needs the person.
    pub(crate) refresh: Option<String>,
}

impl Account {
    pub(super) fn of(
        row: &TokenHealth,
        state: &AppState,
        visitor: &Visitor,
        may_change: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let is_active = row.status == AccountStatus::Active;
        let soon = row.deadline.filter(|_| is_active).map(|time| When::of(time, now));
        let provider = words::of_name(&row.provider.0);
        let reason = row.status_reason.as_deref();
        let trouble = match (row.status, &soon) {
            (AccountStatus::NeedsReauth, _) => {
                let no_reason = format!("{provider} no longer lets us in.");
                Some(format!("{} Posts wait until you connect it again.", reason.unwrap_or(&no_reason)))
            }
            (AccountStatus::Disconnected, _) => {
                Some(format!("{} Nothing goes out there.", reason.unwrap_or("Somebody disconnected it.")))
            }
            (AccountStatus::Active, Some(soon)) => {
                Some(format!("The connection ends {}, unless you connect again.", soon.words))
            }
            (AccountStatus::Active, None) => {
                row.subscribe_error.clone().map(|error| format!("{provider} does not tell us of news yet: {error}"))
            }
        };
        Self {
            name: row.name.clone(),
            platform: words::of_name(&row.platform.0),
            look: match soon {
                Some(_) => Look::of_tone(Tone::Warn, "Ends soon"),
                None => words::account_status(row.status),
            },
            trouble,
            declined: declined(row, state),
            connected: When::of(row.account_created_at, now),
            refreshed: When::of(row.refreshed_at, now),
            refresh_failed: row
                .refresh_failed_at
                .zip(row.refresh_error.clone())
                .map(|(time, error)| (When::of(time, now), error)),
            next_refresh: row.next_refresh_at.map(|time| When::of(time, now)),
            ends: row.data_access_expires_at.or(row.expires_at).map(|time| When::of(time, now)),
            again: may_change.then(|| begin_address(visitor, &row.provider.0, Some(row.account_id))),
            disconnect: (may_change && row.status != AccountStatus::Disconnected)
                .then(|| visitor.to(&format!("{}/{}/disconnect", super::PATH, row.account_id))),
            refresh: (may_change && is_active)
                .then(|| visitor.to(&format!("{}/{}/refresh", super::PATH, row.account_id))),
        }
    }
}

fn declined(row: &TokenHealth, state: &AppState) -> Vec<String> {
    let known = row.provider.known().ok();
    let connector: Option<&dyn Connector> = known.and_then(|known| state.services.providers.connector(known).ok());
    let Some(connector) = connector else { return Vec::new() };
    let missing = connector.scopes().into_iter().filter(|scope| row.scopes.iter().all(|granted| granted != scope));
    missing.map(|scope| connector.purpose_of(scope).unwrap_or(scope).to_owned()).collect()
}
