//! The admin: an HTTP API that enqueues jobs and reports on them, and a few pages.
//!
//! `api` has the operations, `console` the pages of people who are signed in, `pages` the others;
//! [`app`] puts them behind the layers in `http`. `auth` decides about access; `error` has the form
//! of errors.

mod api;
mod auth;
mod budgets;
mod config;
mod connecting;
mod console;
mod database;
mod error;
mod html;
mod http;
#[expect(clippy::disallowed_methods, reason = "forms of browsers take no Idempotency-Key")]
mod pages;
mod server;
mod state;
mod streams;

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt as _, Response, Route,
    middleware::{CatchPanic, CookieJarManager},
};

use self::{
    auth::Lookups,
    http::{InFlight, Operations, RequestLimiter},
};
pub use self::{
    budgets::Budgets,
    config::{BudgetConfig, ConnectionConfig, HttpConfig, Origins, Rate, RateConfig},
    database::Database,
    error::ApiError,
    server::{listen, serve},
    state::AppState,
    streams::{Pace, Streams},
};

/// Returns the whole application. A request passes the layers from the last to the first; the
/// response comes back the other way. Boxes between them keep the type short enough for the
/// compiler.
#[must_use]
pub fn app(state: AppState) -> impl Endpoint<Output = Response> + use<> {
    let api = api::service(&state);
    let plain = api.spec();
    let mut document = http::describe(&plain);
    let described = format!("{document:#}");
    console::describe(&mut document, &state.public_url);
    let operations = Arc::new(Operations::described_by(&document));
    let limits = Arc::new(RequestLimiter::new(state.window.clone(), &state.http));
    let running = Arc::new(InFlight::new(state.trusted_proxies, state.http.connections.per_client));
    let is_https = state.public_url.starts_with("https:");
    let shared = (operations.clone(), state.clone());
    let of_caller = (state.clone(), Arc::new(Lookups::default()));
    let (of_body, of_key, of_origin) = (shared.clone(), shared, state.clone());
    console::add_to(pages::add_to(Route::new()), &state)
        .nest("/docs", http::swagger(&api.swagger_ui_html(), &plain, &described))
        .nest("/redoc", http::redoc(&api.redoc_html(), &plain, &described))
        .at("/openapi.json", http::description(described))
        .nest("/", api)
        .data(state)
        .around(console::land_at_root)
        .around(console::remembered_theme)
        .around(move |endpoint, request| http::check(endpoint, request, operations.clone()))
        .boxed()
        .around(http::look)
        .with(CatchPanic::new().with_handler(|_| error::panic_response()))
        .around(move |endpoint, request| http::once(endpoint, request, of_key.clone()))
        .around(console::take_key)
        .around(move |endpoint, request| http::read_body(endpoint, request, of_body.clone()))
        .boxed()
        .around(move |endpoint, request| http::limit(endpoint, request, limits.clone()))
        .around(move |endpoint, request| auth::identify(endpoint, request, of_caller.clone()))
        .around(move |endpoint, request| http::count(endpoint, request, running.clone()))
        .with(CookieJarManager::new())
        .with(CatchPanic::new().with_handler(|_| error::panic_response()))
        .catch_all_error(async |error| error::from_framework(error))
        .around(console::for_people)
        .around(http::compress_pages)
        .boxed()
        .around(move |endpoint, request| http::share(endpoint, request, of_origin.clone()))
        .around(move |endpoint, request| http::protect(endpoint, request, is_https))
        .map_to_response()
}
