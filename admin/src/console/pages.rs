//! The list of the console's pages, each with its permission.

use std::collections::BTreeMap;

use jobs::value_parsers::is_this_machine;
use poem::{EndpointExt as _, IntoEndpoint, Response, Route, RouteMethod, endpoint::BoxEndpoint, http::Method};
use poem_openapi::OAuthScopes as _;
use serde_json::{Value, json};
use url::Url;

use super::{me, ui_parts, workspace};
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
pub(super) fn all(public_url: &str) -> Vec<Page> {
    let mut pages = vec![
        Page::get("/me", &Needs::Person, me::show),
        Page::post("/me", &Needs::Person, me::rename),
        Page::post("/me/theme", &Needs::Person, me::choose_theme),
        Page::post("/me/workspace", &Needs::Person, me::switch),
        Page::get("/workspace", &Needs::TenantsRead, workspace::show),
        Page::post("/workspace", &Needs::TenantsWrite, workspace::save),
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
    fn pages_need_what_their_operations_need() {
        let listed = |public_url: &str| -> Vec<String> {
            all(public_url).iter().map(|page| format!("{} {} {}", page.method, page.path, page.needs)).collect()
        };
        let deployed = [
            "GET /me person",
            "POST /me person",
            "POST /me/theme person",
            "POST /me/workspace person",
            "GET /workspace tenants:read",
            "POST /workspace tenants:write",
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
