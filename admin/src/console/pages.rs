//! The list of the console's pages, each with its permission.

use std::collections::BTreeMap;

use ::jobs::value_parsers::is_this_machine;
use poem::{EndpointExt as _, IntoEndpoint, Response, Route, RouteMethod, endpoint::BoxEndpoint, http::Method};
use poem_openapi::OAuthScopes as _;
use serde_json::{Value, json};
use url::Url;

use super::{
    account, accounts, audit, brand, connections, engine, jobs, keys, me, operators, search, second_factor,
    service_keys, tenants, ui_parts, workspace,
};
use crate::auth::Needs;

/// A page, or the target of one of its forms.
pub(super) struct Page {
    method: Method,
    /// The path as the router has it: `/jobs/:id`.
    path: &'static str,
    needs: &'static str,
    endpoint: BoxEndpoint<'static, Response>,
}

impl Page {
    fn new(method: Method, path: &'static str, needs: &Needs, page: impl IntoEndpoint<Endpoint: 'static>) -> Self {
        let endpoint = page.into_endpoint().map_to_response().boxed();
        Self { method, path, needs: needs.name(), endpoint }
    }

    fn get(path: &'static str, needs: &Needs, page: impl IntoEndpoint<Endpoint: 'static>) -> Self {
        Self::new(Method::GET, path, needs, page)
    }

    fn post(path: &'static str, needs: &Needs, form: impl IntoEndpoint<Endpoint: 'static>) -> Self {
        Self::new(Method::POST, path, needs, form)
    }
}

/// Returns every page. Pages for development are included only if browsers reach us at this
/// machine.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn all(public_url: &str) -> Vec<Page> {
    let mut pages = vec![
        Page::get("/me", &Needs::Person, me::show),
        Page::post("/me", &Needs::Person, me::rename),
        Page::post("/me/theme", &Needs::Person, me::choose_theme),
        Page::post("/me/workspace", &Needs::Person, me::switch),
        Page::get(account::PATH, &Needs::Person, account::show),
        Page::post("/me/sign-in/password", &Needs::Person, account::save_password),
        Page::post("/me/sign-in/address", &Needs::Person, account::save_address),
        Page::post("/me/sign-in/sessions", &Needs::Person, account::end_sessions),
        Page::get(second_factor::PATH, &Needs::Person, second_factor::show),
        Page::post(second_factor::PATH, &Needs::Person, second_factor::begin),
        Page::post("/me/second-factor/confirm", &Needs::Person, second_factor::confirm),
        Page::post("/me/second-factor/recovery-codes", &Needs::Person, second_factor::renew),
        Page::post("/me/second-factor/remove", &Needs::Person, second_factor::remove),
        Page::get("/jobs", &Needs::JobsRead, jobs::show),
        Page::post("/jobs/selected", &Needs::JobsRetry, jobs::act_on_selected),
        Page::get("/jobs/matching", &Needs::JobsRetry, jobs::show_matching),
        Page::post("/jobs/matching", &Needs::JobsRetry, jobs::act_on_matching),
        Page::get("/jobs/:id", &Needs::JobsRead, jobs::show_job),
        Page::post("/jobs/:id", &Needs::JobsRetry, jobs::act),
        Page::post("/jobs/:id/effects/:effect_id", &Needs::JobsRetry, jobs::settle_effect),
        Page::get("/jobs/queues", &Needs::EngineRead, engine::show_queues),
        Page::post("/jobs/queues/:name", &Needs::EngineWrite, engine::change_queue),
        Page::post("/jobs/queues/:name/limits", &Needs::EngineWrite, engine::limit_queue),
        Page::get("/jobs/workers", &Needs::EngineRead, engine::show_workers),
        Page::get("/jobs/periodic", &Needs::EngineRead, engine::show_periodic),
        Page::post("/jobs/periodic/:name", &Needs::EngineWrite, engine::change_periodic),
        Page::get("/jobs/stats", &Needs::EngineRead, engine::show_stats),
        Page::get("/jobs/parked", &Needs::EngineRead, engine::show_parked),
        Page::post("/jobs/parked/:id", &Needs::EngineWrite, engine::release),
        Page::get(search::PATH, &Needs::JobsRead, search::show),
        Page::get(accounts::PATH, &Needs::AccountsRead, accounts::show),
        Page::post("/accounts/:id/refresh", &Needs::AccountsWrite, accounts::refresh),
        Page::post("/accounts/:id/disconnect", &Needs::AccountsWrite, accounts::disconnect),
        Page::post("/accounts/links", &Needs::AccountsWrite, accounts::make_link),
        Page::post("/accounts/links/:id", &Needs::AccountsWrite, accounts::revoke_link),
        Page::get("/accounts/connect/:provider", &Needs::AccountsWrite, connections::begin),
        Page::get("/connections/:id", &Needs::AccountsWrite, connections::show),
        Page::post("/connections/:id", &Needs::AccountsWrite, connections::choose),
        Page::get("/keys", &Needs::ApiKeysRead, keys::show),
        Page::post("/keys", &Needs::ApiKeysWrite, keys::make),
        Page::post("/keys/:id", &Needs::ApiKeysWrite, keys::revoke),
        Page::get("/audit", &Needs::AuditRead, audit::show),
        Page::post("/audit/verify", &Needs::AuditRead, audit::verify),
        Page::get("/operators", &Needs::OperatorsRead, operators::show),
        Page::post("/operators", &Needs::OperatorsWrite, operators::invite),
        Page::post("/operators/:id", &Needs::OperatorsWrite, operators::change),
        Page::get("/tenants", &Needs::TenantsRead, tenants::show),
        Page::get("/tenants/:id", &Needs::TenantsRead, tenants::show_tenant),
        Page::post("/tenants/:id/plan", &Needs::TenantsWrite, tenants::change_plan),
        Page::post("/tenants/:id/erase", &Needs::TenantsWrite, tenants::erase),
        Page::get(brand::PATH, &Needs::TenantsRead, brand::show),
        Page::get("/workspace", &Needs::TenantsRead, workspace::show),
        Page::post("/workspace", &Needs::TenantsWrite, workspace::save),
        Page::get(service_keys::PATH, &Needs::TenantsRead, service_keys::show),
        Page::post("/workspace/keys/:service", &Needs::TenantsWrite, service_keys::put),
        Page::post("/workspace/keys/:service/workspace", &Needs::TenantsWrite, service_keys::choose),
        Page::post("/workspace/keys/:service/remove", &Needs::TenantsWrite, service_keys::remove),
    ];
    if Url::parse(public_url).is_ok_and(|url| is_this_machine(&url)) {
        pages.push(Page::get("/ui-parts", &Needs::Person, ui_parts::show));
        pages.push(Page::post("/ui-parts", &Needs::Person, ui_parts::submit));
    }
    pages
}

/// Adds pages to the routes.
pub(super) fn add_to(route: Route, pages: Vec<Page>) -> Route {
    let mut by_path: BTreeMap<&str, RouteMethod> = BTreeMap::new();
    for page in pages {
        let methods = by_path.remove(page.path).unwrap_or_default();
        by_path.insert(page.path, methods.method(page.method, page.endpoint));
    }
    by_path.into_iter().fold(route, |route, (path, methods)| route.at(path, methods))
}

/// Describes the pages like operations of the API. So the same layers check permissions, read
/// bodies and keep responses. Readers of the API's description do not see the pages.
pub(crate) fn describe(document: &mut Value, public_url: &str) {
    for page in all(public_url) {
        let path: Vec<String> = page.path.split('/').map(described_segment).collect();
        let described = json!({ "x-page": true, "security": [{ "session": [page.needs] }] });
        document["paths"][path.join("/")][page.method.as_str().to_lowercase()] = described;
    }
}

fn described_segment(segment: &str) -> String {
    segment.strip_prefix(':').map_or_else(|| segment.to_owned(), |name| format!("{{{name}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a list")]
    fn pages_need_what_their_operations_need() {
        let listed = |public_url: &str| -> Vec<String> {
            all(public_url).iter().map(|page| format!("{} {} {}", page.method, page.path, page.needs)).collect()
        };
        let deployed = [
            "GET /me person",
            "POST /me person",
            "POST /me/theme person",
            "POST /me/workspace person",
            "GET /me/sign-in person",
            "POST /me/sign-in/password person",
            "POST /me/sign-in/address person",
            "POST /me/sign-in/sessions person",
            "GET /me/second-factor person",
            "POST /me/second-factor person",
            "POST /me/second-factor/confirm person",
            "POST /me/second-factor/recovery-codes person",
            "POST /me/second-factor/remove person",
            "GET /jobs jobs:read",
            "POST /jobs/selected jobs:retry",
            "GET /jobs/matching jobs:retry",
            "POST /jobs/matching jobs:retry",
            "GET /jobs/:id jobs:read",
            "POST /jobs/:id jobs:retry",
            "POST /jobs/:id/effects/:effect_id jobs:retry",
            "GET /jobs/queues engine:read",
            "POST /jobs/queues/:name engine:write",
            "POST /jobs/queues/:name/limits engine:write",
            "GET /jobs/workers engine:read",
            "GET /jobs/periodic engine:read",
            "POST /jobs/periodic/:name engine:write",
            "GET /jobs/stats engine:read",
            "GET /jobs/parked engine:read",
            "POST /jobs/parked/:id engine:write",
            "GET /search jobs:read",
            "GET /accounts accounts:read",
            "POST /accounts/:id/refresh accounts:write",
            "POST /accounts/:id/disconnect accounts:write",
            "POST /accounts/links accounts:write",
            "POST /accounts/links/:id accounts:write",
            "GET /accounts/connect/:provider accounts:write",
            "GET /connections/:id accounts:write",
            "POST /connections/:id accounts:write",
            "GET /keys api-keys:read",
            "POST /keys api-keys:write",
            "POST /keys/:id api-keys:write",
            "GET /audit audit:read",
            "POST /audit/verify audit:read",
            "GET /operators operators:read",
            "POST /operators operators:write",
            "POST /operators/:id operators:write",
            "GET /tenants tenants:read",
            "GET /tenants/:id tenants:read",
            "POST /tenants/:id/plan tenants:write",
            "POST /tenants/:id/erase tenants:write",
            "GET /brand/:tenant/:version tenants:read",
            "GET /workspace tenants:read",
            "POST /workspace tenants:write",
            "GET /workspace/keys tenants:read",
            "POST /workspace/keys/:service tenants:write",
            "POST /workspace/keys/:service/workspace tenants:write",
            "POST /workspace/keys/:service/remove tenants:write",
        ];
        assert_eq!(listed("https://linecook.example.com"), deployed);
        let in_development = [deployed.as_slice(), &["GET /ui-parts person", "POST /ui-parts person"]].concat();
        assert_eq!(listed("http://127.0.0.1:8080"), in_development);
    }

    #[test]
    fn a_description_names_what_stands_in_a_path() {
        assert_eq!(["jobs", ":id"].map(described_segment), ["jobs", "{id}"]);
    }
}
