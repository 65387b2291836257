//! Rate limits: by plan for each tenant and each of its keys, by machine for callers without
//! credentials.

use std::{sync::Arc, time::Duration};

use jobs::engine::{Limiter, Quota, Taken, Window};
use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
};

use super::body::discard_body;
use crate::{
    ApiError,
    auth::{Client, Identity, is_foreign},
    config::{HttpConfig, Origins, Rate, RateConfig},
};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// People who look at pages have this many times the rate of a machine without credentials. A page
/// does not count as a use of the API.
const PAGES_OF_A_PERSON: u32 = 10;

const LEFT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Paths without a limit: for monitoring, for static files, and for providers' webhooks.
const UNCOUNTED: [&str; 7] =
    [crate::console::ASSETS_PATH, "/health", "/metrics", "/openapi.json", "/docs", "/redoc", "/hooks/"];

/// Paths for signing in and connecting accounts. They are counted by machine for every caller, so
/// that a key of one's own does not help to guess another's password.
const LOGIN_PATHS: [&str; 9] = [
    "/api/v1/auth/",
    "/api/v1/oauth/",
    "/connect/",
    "/sign-in",
    "/sign-up",
    "/forgot-password",
    "/verify-email/",
    "/reset-password/",
    "/invitations/",
];

/// Counts requests.
#[derive(Debug)]
pub(crate) struct RequestLimiter {
    limiter: Limiter,
    rates: RateConfig,
    listed: Origins,
}

impl RequestLimiter {
    pub(crate) fn new(window: Window, http: &HttpConfig) -> Self {
        Self { limiter: Limiter::new(window), rates: http.rates, listed: http.cors_origins.clone() }
    }

    /// Returns the quotas that a request counts against.
    fn of(&self, request: &Request) -> Vec<Quota> {
        let path = request.uri().path();
        let identity = request.extensions().get::<Arc<Identity>>();
        let is_login = *request.method() != Method::GET && LOGIN_PATHS.iter().any(|prefix| path.starts_with(prefix));
        let is_counted = !UNCOUNTED.iter().any(|open| path.starts_with(open));
        let mut quotas = Vec::new();
        if (identity.is_none() || is_login) && is_counted {
            let client = request.extensions().get::<Client>().map(|client| client.counted_as()).unwrap_or_default();
            // Requests that other sites cause in a visitor's browser must not use up the visitor's
            // attempts to sign in.
            let is_listed = request.header(header::ORIGIN).is_some_and(|origin| self.listed.list(origin));
            let whose = if is_foreign(request) && !is_listed { format!("{client} by other sites") } else { client };
            quotas.extend(quota("client", whose, self.rates.client, MINUTE));
        }
        let Some(identity) = identity.filter(|identity| !identity.is_operator()) else {
            return quotas;
        };
        if !path.starts_with("/api/") {
            let rate = self.rates.client.times(PAGES_OF_A_PERSON);
            quotas.extend(quota("person", identity.actor.id.to_string(), rate, MINUTE));
            return quotas;
        }
        if let Some((tenant_id, plan)) = identity.counted_tenant(path) {
            quotas.extend(quota("tenant", tenant_id.to_string(), self.rates.of_plan(plan), HOUR));
        }
        let own = identity.plans().map(|plan| self.rates.of_plan(plan)).reduce(Rate::max);
        let own = own.unwrap_or(self.rates.basic);
        quotas.extend(quota("caller", identity.actor.id.to_string(), own, HOUR));
        quotas
    }
}

fn quota(name: &'static str, whose: String, rate: Rate, window: Duration) -> Option<Quota> {
    rate.0.map(|requests| Quota { name, whose, requests, window })
}

/// Counts a request, or refuses it.
pub(crate) async fn limit<E: Endpoint>(
    endpoint: E,
    mut request: Request,
    limits: Arc<RequestLimiter>,
) -> poem::Result<Response> {
    let quotas = limits.of(&request);
    if quotas.is_empty() {
        return endpoint.call(request).await.map(poem::IntoResponse::into_response);
    }
    let taken = limits.limiter.take(&quotas).await;
    let mut response = if taken.wait.is_zero() {
        endpoint.call(request).await?.into_response()
    } else {
        discard_body(&mut request);
        ApiError::rate_limited(seconds(taken.wait)).into_response()
    };
    tell(response.headers_mut(), &quotas, &taken);
    Ok(response)
}

/// Adds the headers of draft-ietf-httpapi-ratelimit-headers.
fn tell(headers: &mut HeaderMap, quotas: &[Quota], taken: &Taken) {
    let policy = |quota: &Quota| format!("\"{}\";q={};w={}", quota.name, quota.requests, quota.window.as_secs());
    let policies: Vec<String> = quotas.iter().map(policy).collect();
    let left = quotas.iter().zip(&taken.left);
    let left: Vec<String> = left
        .map(|(quota, left)| format!("\"{}\";r={};t={}", quota.name, left.requests, seconds(left.full_in)))
        .collect();
    for (name, value) in [(POLICY, policies), (LEFT, left)] {
        if let Ok(value) = HeaderValue::from_str(&value.join(", ")) {
            headers.insert(name, value);
        }
    }
}

/// Returns whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
