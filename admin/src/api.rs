//! The operations of the API: one module a subject.

mod accounts;
mod api_keys;
mod assets;
mod audit;
mod calendars;
pub(crate) mod connections;
mod engine;
mod health;
mod jobs;
pub(crate) mod people;
mod posts;
mod tenants;

use ::jobs::{engine::Tx, ids::TenantId, tenants::store};
use poem_openapi::{OpenApiService, Tags};

use crate::{ApiError, state::AppState};

/// Groups of operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Whether it runs.
    Health,
    /// Who it runs for.
    Tenants,
    /// What one can publish to.
    Accounts,
    /// Folders and pictures.
    Assets,
    /// Months of posts, written by AI.
    Calendars,
    /// Posts and their deliveries.
    Posts,
    /// The work itself.
    Jobs,
    /// What runs it.
    Engine,
    /// Who did what.
    Audit,
    /// Who signs in, and who is in which tenant.
    People,
    /// Who may call.
    Access,
}

/// What staff see and do; a tuple of its own, as those have a greatest length.
type StaffApis = (
    jobs::JobsApi,
    jobs::ActionsApi,
    jobs::BulkApi,
    jobs::ResolveApi,
    engine::queues::QueuesApi,
    engine::workers::WorkersApi,
    engine::parked::ParkedApi,
    audit::AuditApi,
    api_keys::KeysApi,
);

/// What people do about themselves and each other.
type PeopleApis = (people::SignUpApi, people::SessionsApi, people::MeApi, people::MembersApi);

/// Every operation.
pub(crate) type Apis = (
    health::HealthApi,
    tenants::TenantsApi,
    connections::ConnectionsApi,
    accounts::AccountsApi,
    assets::AssetsApi,
    calendars::CalendarsApi,
    posts::PostsApi,
    StaffApis,
    PeopleApis,
    jobs::JobEventsApi,
    engine::periodic::PeriodicApi,
);

pub(crate) fn service(state: &AppState) -> OpenApiService<Apis, ()> {
    let state = || state.clone();
    let apis = (
        health::HealthApi { state: state() },
        tenants::TenantsApi { state: state() },
        connections::ConnectionsApi { state: state() },
        accounts::AccountsApi { state: state() },
        assets::AssetsApi { state: state() },
        calendars::CalendarsApi { state: state() },
        posts::PostsApi { state: state() },
        (
            jobs::JobsApi { state: state() },
            jobs::ActionsApi { state: state() },
            jobs::BulkApi { state: state() },
            jobs::ResolveApi { state: state() },
            engine::queues::QueuesApi { state: state() },
            engine::workers::WorkersApi { state: state() },
            engine::parked::ParkedApi { state: state() },
            audit::AuditApi { state: state() },
            api_keys::KeysApi { state: state() },
        ),
        (
            people::SignUpApi { state: state() },
            people::SessionsApi { state: state() },
            people::MeApi { state: state() },
            people::MembersApi { state: state() },
        ),
        jobs::JobEventsApi { state: state() },
        engine::periodic::PeriodicApi { state: state() },
    );
    OpenApiService::new(apis, "Linecook", env!("CARGO_PKG_VERSION"))
        .description("Social media automation for restaurants, agencies and artists, run as durable jobs.")
}

/// A tenant that does not exist, or cannot be seen, is not found.
pub(crate) async fn require_tenant(tx: &mut Tx, id: TenantId) -> Result<(), ApiError> {
    store::get(tx, id).await?.map(|_| ()).ok_or_else(|| ApiError::not_found("tenant"))
}
