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
mod http;
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

use std::sync::Arc;

use ::jobs::{engine::Tx, ids::TenantId, tenants::store};
use poem::{
    Endpoint, EndpointExt as _, Response, Route, get,
    middleware::{CatchPanic, CookieJarManager},
};
use poem_openapi::{OpenApiService, Tags};

use self::http::{Limits, Operations};
pub use self::{
    error::ApiError,
    http::{HttpConfig, Origins, Rate, RateConfig},
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

/// The whole application. A request passes the layers from the last to the first; the answer comes back the other way. Boxes
/// between them keep the type short enough for the compiler.
#[must_use]
pub fn app(state: AppState) -> impl Endpoint<Output = Response> + use<> {
    let api = service(&state);
    let plain = api.spec();
    let document = http::describe(&plain);
    let described = format!("{document:#}");
    let operations = Arc::new(Operations::described_by(&document));
    let limits = Arc::new(Limits::new(state.window.clone(), state.http.rates));
    let is_https = state.public_url.starts_with("https:");
    let shared = (operations.clone(), state.clone());
    let (of_body, of_key, of_caller, of_origin) = (shared.clone(), shared, state.clone(), state.clone());
    pages::add_to(Route::new())
        .nest("/docs", http::swagger(&api.swagger_ui_html(), &plain, &described))
        .nest("/redoc", http::redoc(&api.redoc_html(), &plain, &described))
        .at("/openapi.json", http::description(described))
        .at("/connect/:ticket", get(oauth::connect))
        .nest("/", api)
        .data(state)
        .around(move |endpoint, request| http::check(endpoint, request, operations.clone()))
        .boxed()
        .with(CatchPanic::new().with_handler(|_| error::panic_response()))
        .around(move |endpoint, request| http::once(endpoint, request, of_key.clone()))
        .around(move |endpoint, request| http::read_body(endpoint, request, of_body.clone()))
        .boxed()
        .around(move |endpoint, request| http::limit(endpoint, request, limits.clone()))
        .around(move |endpoint, request| auth::identify(endpoint, request, of_caller.clone()))
        .with(CookieJarManager::new())
        .with(CatchPanic::new().with_handler(|_| error::panic_response()))
        .catch_all_error(async |error| error::from_framework(error, &[]))
        .boxed()
        .around(move |endpoint, request| http::share(endpoint, request, of_origin.clone()))
        .around(move |endpoint, request| http::protect(endpoint, request, is_https))
        .map_to_response()
}

/// A tenant that does not exist, or cannot be seen, is not found.
async fn require_tenant(tx: &mut Tx, id: TenantId) -> Result<(), ApiError> {
    store::get(tx, id).await?.map(|_| ()).ok_or_else(|| ApiError::not_found("tenant"))
}
