//! The admin: an HTTP API that enqueues jobs and reports on them.
//!
//! One module a subject; [`app`] puts them together. Who may do what is decided in `auth`, how errors look in `error`.

mod accounts;
mod api_keys;
mod assets;
mod audit;
mod auth;
mod body;
mod calendars;
mod error;
mod health;
mod job_events;
mod jobs;
mod oauth;
mod page;
mod pages;
mod parked;
mod people;
mod periodic;
mod posts;
mod queues;
mod state;
mod streams;
mod tenants;
mod workers;

use ::jobs::{engine::Tx, ids::TenantId, tenants::store};
use poem::{
    Endpoint, EndpointExt as _, Request, Response, Route, get,
    middleware::{CatchPanic, CookieJarManager, SetHeader},
};
use poem_openapi::{OpenApiService, Tags};

pub use self::{
    error::ApiError,
    state::AppState,
    streams::{Pace, Streams},
};

/// Groups of operations.
#[derive(Tags)]
enum Tag {
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
    queues::QueuesApi,
    workers::WorkersApi,
    parked::ParkedApi,
    audit::AuditApi,
    api_keys::KeysApi,
);

/// What people do about themselves and each other.
type PeopleApis = (people::SignUpApi, people::SessionsApi, people::MeApi, people::MembersApi);

type Apis = (
    health::HealthApi,
    tenants::TenantsApi,
    oauth::OauthApi,
    accounts::AccountsApi,
    assets::AssetsApi,
    calendars::CalendarsApi,
    posts::PostsApi,
    StaffApis,
    PeopleApis,
    job_events::JobEventsApi,
    periodic::PeriodicApi,
);

fn service(state: &AppState) -> OpenApiService<Apis, ()> {
    let state = || state.clone();
    let apis = (
        health::HealthApi { state: state() },
        tenants::TenantsApi { state: state() },
        oauth::OauthApi { state: state() },
        accounts::AccountsApi { state: state() },
        assets::AssetsApi { state: state() },
        calendars::CalendarsApi { state: state() },
        posts::PostsApi { state: state() },
        (
            jobs::JobsApi { state: state() },
            jobs::ActionsApi { state: state() },
            jobs::BulkApi { state: state() },
            jobs::ResolveApi { state: state() },
            queues::QueuesApi { state: state() },
            workers::WorkersApi { state: state() },
            parked::ParkedApi { state: state() },
            audit::AuditApi { state: state() },
            api_keys::KeysApi { state: state() },
        ),
        (
            people::SignUpApi { state: state() },
            people::SessionsApi { state: state() },
            people::MeApi { state: state() },
            people::MembersApi { state: state() },
        ),
        job_events::JobEventsApi { state: state() },
        periodic::PeriodicApi { state: state() },
    );
    OpenApiService::new(apis, "Linecook", env!("CARGO_PKG_VERSION"))
        .description("Social media automation for restaurants, agencies and artists, run as durable jobs.")
}

/// The API's description, as served at `/openapi.json`.
#[must_use]
pub fn openapi(state: &AppState) -> String {
    service(state).spec()
}

/// The whole application.
#[must_use]
pub fn app(state: AppState) -> impl Endpoint<Output = Response> + use<> {
    let api = service(&state);
    let identifying = state.clone();
    pages::add_to(Route::new())
        .at("/openapi.json", api.spec_endpoint())
        .nest("/docs", api.swagger_ui())
        .nest("/redoc", api.redoc())
        .at("/connect/:ticket", get(oauth::connect))
        .nest("/", api)
        .data(state)
        .around(limit_body)
        .around(move |endpoint, request| auth::identify(endpoint, request, identifying.clone()))
        .with(CookieJarManager::new())
        .with(CatchPanic::new().with_handler(|_| error::panic_response()))
        .catch_all_error(error::from_framework)
        .with(
            SetHeader::new()
                .overriding("x-content-type-options", "nosniff")
                .overriding("referrer-policy", "no-referrer"),
        )
        .map_to_response()
}

/// Reads a body only up to what any operation takes.
async fn limit_body<E: Endpoint>(endpoint: E, mut request: Request) -> poem::Result<Response> {
    let is_multipart = request.content_type().is_some_and(|kind| kind.starts_with("multipart/"));
    let limit_bytes = assets::body_limit(is_multipart);
    let body = request.take_body();
    if body.is_empty() {
        return endpoint.call(request).await.map(poem::IntoResponse::into_response);
    }
    match body.into_bytes_limit(limit_bytes).await {
        Ok(bytes) => request.set_body(bytes),
        Err(poem::error::ReadBodyError::PayloadTooLarge) => return Ok(error::too_large(limit_bytes)),
        Err(error) => return Err(error.into()),
    }
    endpoint.call(request).await.map(poem::IntoResponse::into_response)
}

/// A tenant that does not exist, or cannot be seen, is not found.
async fn require_tenant(tx: &mut Tx, id: TenantId) -> Result<(), ApiError> {
    store::get(tx, id).await?.map(|_| ()).ok_or_else(|| ApiError::not_found("tenant"))
}
