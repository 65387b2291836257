//! The operations of the API: one module a subject.

mod accounts;
mod api_keys;
mod assets;
mod audit;
mod calendars;
pub(crate) mod connections;
mod engine;
mod health;
mod hooks;
mod jobs;
pub(crate) mod people;
mod posts;
mod search;
mod service_keys;
mod tenants;

pub(crate) use self::{
    engine::queues::{MAX_LIMIT, QueueFigures, figures as queue_figures},
    health::words as trouble_words,
};
use ::jobs::{engine::Tx, ids::TenantId, tenants::store};
use poem_openapi::{OpenApiService, Tags};

use crate::{ApiError, state::AppState};

/// Groups of operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Health checks of the service and of what it depends on.
    Health,
    /// Tenants: restaurants, agencies' clients and organizations, with their settings and usage.
    Tenants,
    /// Connected accounts to publish on, and connecting new ones.
    Accounts,
    /// Folders and pictures.
    Assets,
    /// Months of posts, written by AI.
    Calendars,
    /// Posts and their deliveries.
    Posts,
    /// Jobs: the queued, running and finished work.
    Jobs,
    /// Queues, workers, parked accounts and periodic work.
    Engine,
    /// The audit log: every change and who made it.
    Audit,
    /// People: signing up, signing in, members and invitations.
    People,
    /// API keys.
    Access,
}

/// Makes the type and the value of all operations from one list. They are nested pairs, because the
/// framework's tuples end at 16.
macro_rules! apis {
    (@type $($last:ident)::+) => { $($last)::+ };
    (@type $($first:ident)::+, $($rest:tt)+) => { ($($first)::+, apis!(@type $($rest)+)) };
    (@value $state:ident $($last:ident)::+) => { $($last)::+ { state: $state.clone() } };
    (@value $state:ident $($first:ident)::+, $($rest:tt)+) => {
        ($($first)::+ { state: $state.clone() }, apis!(@value $state $($rest)+))
    };
    ($($apis:tt)+) => {
        /// Every operation.
        pub(crate) type Apis = apis!(@type $($apis)+);

        fn apis(state: &AppState) -> Apis {
            apis!(@value state $($apis)+)
        }
    };
}

apis! {
    health::HealthApi,
    tenants::TenantsApi,
    connections::ConnectionsApi,
    accounts::AccountsApi,
    hooks::HooksApi,
    service_keys::ServiceKeysApi,
    assets::AssetsApi,
    calendars::CalendarsApi,
    posts::PostsApi,
    jobs::JobsApi,
    jobs::ActionsApi,
    jobs::BulkApi,
    jobs::ResolveApi,
    engine::queues::QueuesApi,
    engine::workers::WorkersApi,
    engine::parked::ParkedApi,
    audit::AuditApi,
    api_keys::KeysApi,
    people::SignUpApi,
    people::SessionsApi,
    people::MeApi,
    people::SecondFactorApi,
    people::AccountApi,
    people::StaffApi,
    people::MembersApi,
    people::OperatorsApi,
    jobs::JobEventsApi,
    engine::periodic::PeriodicApi,
    engine::figures::FiguresApi,
    engine::board::BoardApi,
    engine::board_stream::BoardStreamApi,
    search::SearchApi
}

pub(crate) fn service(state: &AppState) -> OpenApiService<Apis, ()> {
    OpenApiService::new(apis(state), "Linecook", env!("CARGO_PKG_VERSION"))
        .description("Social media automation for restaurants, agencies and artists, run as durable jobs.")
}

/// Refuses with "not found" a tenant that does not exist or that the caller cannot see.
pub(crate) async fn require_tenant(tx: &mut Tx, id: TenantId) -> Result<(), ApiError> {
    store::get(tx, id).await?.map(|_| ()).ok_or_else(|| ApiError::not_found("tenant"))
}
