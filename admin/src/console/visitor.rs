//! The visitor of a page.

use jobs::{engine::Scope, ids::TenantId};
use poem::{FromRequest, IntoResponse as _, Request, RequestBody, Response, Result, http::Method};
use url::form_urlencoded;
use uuid::Uuid;

use super::notice::Notice;
use crate::{
    ApiError,
    auth::{Audience, Caller, Person},
    database::WriteTx,
    error::ErrorCode,
    html::redirect,
    state::AppState,
};

/// The parameter that names the workspace in every address and form.
pub(super) const WORKSPACE: &str = "workspace";

/// The header of a page that is fetched again behind the one that is shown. The notice waits for a
/// page that people see.
const REFRESH: &str = "linecook-refresh";

/// The visitor of a page, and the workspace that the page's address names. If the address names
/// none, the browser is sent to the same page in the current workspace. So a switch in another tab
/// does not change where this one writes.
pub(crate) struct Visitor {
    pub(crate) caller: Caller,
    pub(crate) person: Person,
    /// The workspace that the address names, if it names one.
    pub(super) workspace: Option<TenantId>,
    pub(super) path: String,
    /// The query of the address.
    pub(super) query: String,
    pub(super) notice: Option<Notice>,
}

impl<'a> FromRequest<'a> for Visitor {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        let caller = Caller::of(request).ok_or_else(ApiError::unauthorized)?;
        let person = caller.person()?;
        let path = request.uri().path().to_owned();
        let workspace = if let Some(named) = named(request)? {
            Some(caller.tenant(named)?)
        } else {
            if *request.method() == Method::GET
                && let Some(current) = caller.identity().open_tenant()
            {
                let address = address_in(&path, request.uri().query(), current);
                return Err(poem::Error::from_response(redirect(&address)));
            }
            None
        };
        let is_shown = *request.method() == Method::GET && !request.headers().contains_key(REFRESH);
        let state = request.data::<AppState>().filter(|_| is_shown);
        let notice = state.and_then(|state| Notice::take(state, request.cookie()));
        let query = request.uri().query().unwrap_or_default().to_owned();
        Ok(Self { caller, person, workspace, path, query, notice })
    }
}

fn named(request: &Request) -> Result<Option<Uuid>, ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == WORKSPACE);
    named.map(|(_, id)| id.parse().map_err(|_| ApiError::not_found("tenant"))).transpose()
}

/// Returns the same address in a workspace.
fn address_in(path: &str, query: Option<&str>, workspace: TenantId) -> String {
    let kept = query.filter(|query| !query.is_empty()).map(|query| format!("{query}&")).unwrap_or_default();
    format!("{path}?{kept}{WORKSPACE}={workspace}")
}

impl Visitor {
    /// Returns the workspace of the page.
    pub(crate) fn required_workspace(&self) -> Result<TenantId, ApiError> {
        let detail = "The address names no workspace: choose one, and open the page from its menu.";
        self.workspace.ok_or_else(|| ApiError::bad_request(ErrorCode::Malformed, detail))
    }

    /// Returns what the page shows: the workspace of its address; without one, everything for
    /// operators.
    pub(super) fn scope(&self) -> Result<Scope, ApiError> {
        self.workspace.map_or_else(|| self.caller.scope(), |id| Ok(Scope::Tenant(id)))
    }

    /// Returns true if the visitor has a permission here, to show its button.
    pub(super) fn may(&self, permission: &str) -> bool {
        self.caller.require(self.workspace.unwrap_or(TenantId::SYSTEM), permission).is_ok()
    }

    pub(super) fn is_operator(&self) -> bool {
        self.caller.audience() == Audience::Operators
    }

    /// Returns a parameter of the address that is not empty.
    pub(super) fn asked(&self, name: &str) -> Option<String> {
        let asked = form_urlencoded::parse(self.query.as_bytes()).find(|(known, _)| known == name);
        asked.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty() && !value.contains('\0'))
    }

    /// Commits the changes of a form, and redirects to one of our addresses in the same workspace.
    /// If the form is sent again, it gets the same redirect.
    pub(super) async fn leave(&self, tx: WriteTx, path: &str) -> Result<Response> {
        Ok(tx.answer(redirect(&self.to(path))).await?.into_response())
    }

    /// Returns one of our addresses in the same workspace.
    pub(crate) fn to(&self, address: &str) -> String {
        let Some(workspace) = self.workspace else { return address.to_owned() };
        match address.split_once('?') {
            Some((path, query)) => address_in(path, Some(query), workspace),
            None => address_in(address, None, workspace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_what_it_says_besides() {
        let id = TenantId(Uuid::nil());
        let nil = Uuid::nil();
        assert_eq!(address_in("/jobs", None, id), format!("/jobs?workspace={nil}"));
        assert_eq!(address_in("/jobs", Some("state=failed"), id), format!("/jobs?state=failed&workspace={nil}"));
    }
}
