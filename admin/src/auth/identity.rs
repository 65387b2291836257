//! The identity behind a request. It is read once, before the request's body.

#![expect(clippy::disallowed_methods, reason = "callers are identified before any Idempotency-Key is read")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jobs::{
    audit::Actor,
    engine::Tx,
    ids::{SessionId, TenantId, UserId},
    people::{
        access_token,
        sessions::{self, Named, SignedIn},
    },
    secrets::fingerprint,
    tenants::{keys, permissions::Permissions, plans::Plan},
};
use poem::{
    Endpoint, Request, Response,
    http::{Method, header},
};
use uuid::Uuid;

use super::{Lookups, client::Client};
use crate::{ApiError, console, error::ErrorCode, http::cookies, state::AppState};

/// The header that names one of the caller's tenants, for a request whose address and body name
/// none.
pub(crate) const TENANT_HEADER: &str = "linecook-tenant";

/// A caller with valid credentials.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The person; `None` for a key.
    pub(crate) person: Option<Person>,
    pub(crate) access: Access,
    pub(crate) actor: Actor,
    /// The plans of its tenants.
    plans: BTreeMap<TenantId, Plan>,
    credential: Credential,
}

/// The person who is signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
}

/// The tenants that a caller reaches, with the permissions there.
#[derive(Debug)]
pub(crate) enum Access {
    /// All tenants, and operations that concern all of them: operators.
    Everywhere(Permissions),
    /// Some tenants. `current` is the tenant of requests that name none. The `barred` tenants
    /// require a second factor, which this session was not given.
    Tenants { current: Option<TenantId>, held: BTreeMap<TenantId, Permissions>, barred: BTreeSet<TenantId> },
    /// Nothing: operators without a second factor.
    Barred,
}

impl Access {
    /// Returns the permissions in a tenant.
    pub(crate) fn held_in(&self, tenant_id: TenantId) -> Result<&Permissions, ApiError> {
        match self {
            Self::Everywhere(held) => Ok(held),
            Self::Tenants { barred, .. } if barred.contains(&tenant_id) => Err(ApiError::second_factor_required()),
            Self::Tenants { held, .. } => held.get(&tenant_id).ok_or_else(|| ApiError::not_found("tenant")),
            Self::Barred => Err(ApiError::second_factor_required()),
        }
    }
}

/// The credential by which a caller was identified.
#[derive(Debug, Clone, Copy)]
enum Credential {
    Key(Uuid),
    Session(SessionId),
}

/// Identifies the caller of a request before its body is read. Wrong credentials count as none, so
/// the operation refuses the request.
pub(crate) async fn identify<E: Endpoint>(
    endpoint: E,
    mut request: Request,
    (state, lookups): (AppState, Arc<Lookups>),
) -> poem::Result<Response> {
    let client = Client::of(&request, state.trusted_proxies);
    // Health checks and the assets of pages have to work while the database is away.
    let is_open = ["/health", console::ASSETS_PATH].iter().any(|path| request.uri().path().starts_with(path));
    if !is_open && let Some(mut identity) = find(&state, &lookups, &request, &client).await? {
        if let Some(named) = named_tenant(&request)? {
            identity.work_in(named)?;
        }
        request.extensions_mut().insert(Arc::new(identity));
    }
    request.extensions_mut().insert(client);
    endpoint.call(request).await.map(poem::IntoResponse::into_response)
}

/// Returns the tenant that the header names.
fn named_tenant(request: &Request) -> Result<Option<TenantId>, ApiError> {
    let mut named = request.headers().get_all(TENANT_HEADER).iter();
    let (Some(named), None) = (named.next(), named.next()) else {
        return if request.headers().contains_key(TENANT_HEADER) { Err(bad_tenant()) } else { Ok(None) };
    };
    let id = named.to_str().ok().and_then(|id| id.trim().parse().ok()).ok_or_else(bad_tenant)?;
    Ok(Some(TenantId(id)))
}

fn bad_tenant() -> ApiError {
    ApiError::bad_request(ErrorCode::Malformed, "Linecook-Tenant: it should be the id of one tenant, a UUID.")
}

async fn find(
    state: &AppState,
    lookups: &Lookups,
    request: &Request,
    client: &Client,
) -> Result<Option<Identity>, ApiError> {
    let authorization = request.headers().get(header::AUTHORIZATION);
    let Some(authorization) = authorization else {
        let Some(cookie) = session_cookie(state, request) else {
            return Ok(None);
        };
        let find = find_by_cookie(state, &cookie, client);
        return sparingly(state, lookups, client, &cookie, find).await;
    };
    let Some(token) = authorization.to_str().ok().and_then(bearer) else {
        return Ok(None);
    };
    if token.starts_with(keys::PREFIX) {
        return sparingly(state, lookups, client, token, find_by_key(state, token, client)).await;
    }
    let Some(claims) = access_token::read(&state.services.signer, &state.public_url, token) else {
        return Ok(None);
    };
    let mut tx = state.db.unkeyed().system().await?;
    let found = sessions::find(&mut tx, Named::Id(claims.sid)).await?;
    tx.commit().await?;
    let found = found.filter(|(person, now)| claims.hold_at(*now) && person.user_id == claims.sub);
    identity_of(state, found.map(|(person, _)| person), client).await
}

/// Looks a secret up, unless its client sent too many wrong ones.
async fn sparingly(
    state: &AppState,
    lookups: &Lookups,
    client: &Client,
    secret: &str,
    find: impl Future<Output = Result<Option<Identity>, ApiError>>,
) -> Result<Option<Identity>, ApiError> {
    let (whose, secret) = (client.counted_as(), fingerprint(secret));
    lookups.admit(&whose, &secret, state.http.rates.client)?;
    let found = find.await?;
    lookups.note(&whose, secret, found.is_some());
    Ok(found)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn find_by_key(state: &AppState, key: &str, client: &Client) -> Result<Option<Identity>, ApiError> {
    let mut tx = state.db.unkeyed().system().await?;
    let holder = keys::find_by_key(&mut tx, key).await?;
    tx.commit().await?;
    Ok(holder.map(|holder| {
        let access = if holder.tenant_id == TenantId::SYSTEM {
            Access::Everywhere(holder.permissions)
        } else {
            let held = BTreeMap::from([(holder.tenant_id, holder.permissions)]);
            Access::Tenants { current: Some(holder.tenant_id), held, barred: BTreeSet::new() }
        };
        let actor = Actor::key(holder.key_id, holder.name, client.address());
        let plans = BTreeMap::from([(holder.tenant_id, holder.plan)]);
        Identity { person: None, access, actor, plans, credential: Credential::Key(holder.key_id) }
    }))
}

/// Returns the value of the session's cookie, if it counts for this request. Browsers also send
/// cookies with requests that other sites cause. So a request that changes something has to come
/// from our own pages. A GET of the API must not come from another site, as GET makes the tickets
/// of connections.
fn session_cookie(state: &AppState, request: &Request) -> Option<String> {
    let is_of_api = request.uri().path().starts_with("/api/");
    let is_followed = is_safe(request.method()) && !(is_foreign(request) && is_of_api);
    cookies::read(request.cookie(), state, cookies::SESSION)
        .filter(|_| is_followed || is_ours(request, &state.public_url))
}

/// Returns the person who is signed in in a browser that another site sends here. This decides who
/// finishes a login that began here, and nothing else.
pub(crate) async fn identity_of_browser(state: &AppState, request: &Request) -> Result<Option<Identity>, ApiError> {
    let Some(cookie) = cookies::read(request.cookie(), state, cookies::SESSION) else {
        return Ok(None);
    };
    find_by_cookie(state, &cookie, &Client::of(request, state.trusted_proxies)).await
}

async fn find_by_cookie(state: &AppState, cookie: &str, client: &Client) -> Result<Option<Identity>, ApiError> {
    let mut tx = state.db.unkeyed().system().await?;
    let found = sessions::find(&mut tx, Named::Cookie(&fingerprint(cookie))).await?;
    tx.commit().await?;
    identity_of(state, found.map(|(person, _)| person), client).await
}

/// The identity of a person who is signed in. The use of the session is noted once a minute.
async fn identity_of(
    state: &AppState,
    person: Option<SignedIn>,
    client: &Client,
) -> Result<Option<Identity>, ApiError> {
    if let Some(person) = person.as_ref().filter(|person| person.is_use_unnoted) {
        let mut tx = state.db.unkeyed().system().await?;
        sessions::note_use(&mut tx, person.session_id).await?;
        tx.commit().await?;
    }
    Ok(person.map(|person| Identity::of_person(&person, client)))
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Returns true if a page of another site made a browser send the request. Browsers say so. A
/// request that does not say comes from another program, or from an old browser.
pub(crate) fn is_foreign(request: &Request) -> bool {
    request.header("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}

/// Returns true if one of our own pages sent the request.
pub(crate) fn is_ours(request: &Request, public_url: &str) -> bool {
    request.header(header::ORIGIN).is_some_and(|origin| origin == public_url)
}

impl Identity {
    fn of_person(person: &SignedIn, client: &Client) -> Self {
        let access = match person.operator_role {
            Some(role) if person.is_by_code => Access::Everywhere(role.permissions()),
            Some(_) => Access::Barred,
            None => {
                let held = person.memberships.iter().map(|(id, role)| (*id, role.permissions())).collect();
                Access::Tenants { current: person.current, held, barred: person.barred.clone() }
            }
        };
        Self {
            person: Some(Person { user_id: person.user_id, session_id: person.session_id }),
            access,
            actor: Actor::person(person.user_id.0, person.email.clone(), client.address()),
            plans: person.plans.clone(),
            credential: Credential::Session(person.session_id),
        }
    }

    /// Makes `named` the tenant of this request. Operators name a tenant in the request itself.
    fn work_in(&mut self, named: TenantId) -> Result<(), ApiError> {
        if let Access::Tenants { current, held, barred } = &mut self.access {
            if !held.contains_key(&named) && !barred.contains(&named) {
                return Err(ApiError::not_found("tenant"));
            }
            *current = Some(named);
        }
        Ok(())
    }

    /// Returns true for operators, who see every tenant.
    pub(crate) fn is_operator(&self) -> bool {
        matches!(self.access, Access::Everywhere(_))
    }

    /// Returns the tenant of requests that name none.
    pub(crate) fn current_tenant(&self) -> Option<TenantId> {
        match &self.access {
            Access::Everywhere(_) | Access::Barred => None,
            Access::Tenants { current, .. } => *current,
        }
    }

    /// The same, unless it requires a second factor that was not given.
    pub(crate) fn open_tenant(&self) -> Option<TenantId> {
        self.current_tenant().filter(|id| self.access.held_in(*id).is_ok())
    }

    /// Returns true if a role, or the current tenant, requires a second factor that was not given.
    pub(crate) fn needs_second_factor(&self) -> bool {
        matches!(self.access, Access::Barred) || self.current_tenant().is_some() && self.open_tenant().is_none()
    }

    /// Returns the tenant that a request counts for, and its plan: the one that the address names,
    /// else the current one.
    pub(crate) fn counted_tenant(&self, path: &str) -> Option<(TenantId, Plan)> {
        let tenant_id = self.named_tenant(path).or(self.current_tenant())?;
        self.plans.get(&tenant_id).map(|&plan| (tenant_id, plan))
    }

    /// Returns the tenant that a request's `Idempotency-Key` is kept with: the one that the address
    /// names, else that of an API key. It is the same however late a request is repeated. So it is
    /// never the tenant that a person currently works in.
    pub(crate) fn tenant_of_key(&self, path: &str) -> TenantId {
        let own = match self.credential {
            Credential::Key(_) => self.current_tenant(),
            Credential::Session(_) => None,
        };
        self.named_tenant(path).or(own).unwrap_or(TenantId::SYSTEM)
    }

    /// Returns the tenant that an address names, if the caller is in it.
    fn named_tenant(&self, path: &str) -> Option<TenantId> {
        let named = path.strip_prefix("/api/v1/tenants/").and_then(|rest| rest.split('/').next());
        named.and_then(|id| id.parse().ok()).map(TenantId).filter(|id| self.plans.contains_key(id))
    }

    /// Returns the plans of its tenants.
    pub(crate) fn plans(&self) -> impl Iterator<Item = Plan> {
        self.plans.values().copied()
    }

    /// Returns true if the credentials still let their holder see a tenant, for responses that last
    /// for minutes. Needs the system scope.
    pub(crate) async fn still_sees(&self, tx: &mut Tx, tenant_id: TenantId) -> Result<bool, sqlx::Error> {
        match self.credential {
            Credential::Key(id) => Ok(self.access.held_in(tenant_id).is_ok() && keys::is_valid(tx, id).await?),
            Credential::Session(id) => {
                let found = sessions::find(tx, Named::Id(id)).await?;
                Ok(found.is_some_and(|(person, _)| person.sees(tenant_id)))
            }
        }
    }
}
