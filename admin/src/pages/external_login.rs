//! Signing in with an account elsewhere, in a browser.

use jobs::{
    people::{
        external_login::{ExternalLoginError, LinkError, find_or_link_user, identify},
        sign_in,
        store::UserRow,
    },
    providers::{AuthorizationRequest, LIST, Provider},
};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use crate::{
    ApiError,
    api::people::{count_client, origin},
    auth::is_foreign,
    error::chain,
    html::{Link, message_page, redirect},
    http::cookies,
    state::AppState,
};

const TO_SIGN_IN: [Link; 1] = [("/sign-in", "Sign in")];

/// The buttons of the providers that are set up: each its address and its words.
pub(super) fn ways(state: &AppState) -> Vec<(String, String)> {
    let all = LIST.iter().map(|listing| listing.provider);
    let offered = all.filter(|provider| state.services.providers.signing_in(*provider).is_some());
    offered.map(|one| (format!("/sign-in/{}", one.name()), format!("Sign in with {}", one.label()))).collect()
}

/// Why somebody who came back is not signed in, as the address of the page with the form says it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    Cancelled,
    Stale,
    Unverified,
    Closed,
    Failed,
}

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Stale => "stale",
            Self::Unverified => "unverified",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }

    fn words(self, label: &str) -> String {
        match self {
            Self::Cancelled => format!("You were not signed in: {label} says that this was cancelled."),
            Self::Stale => {
                "That was used before, took too long, or began in another browser: try once more.".to_owned()
            }
            Self::Unverified => format!(
                "{label} did not tell us an address of yours that it has verified. Verify your main address there and try \
                 again, or make an account here."
            ),
            Self::Closed => format!(
                "Nobody here has the address of your {label} account, and new accounts are not made by themselves: have \
                 somebody invite you."
            ),
            Self::Failed => {
                format!("{label} did not answer as it should. Try again in a moment, or use your password.")
            }
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    with: String,
    why: Why,
}

/// What the form says to somebody who was sent back to it.
pub(super) fn refusal(request: &Request) -> Option<String> {
    let Refusal { with, why } = request.params().ok()?;
    Some(why.words(Provider::named(&with)?.label()))
}

/// A page of its own for the form: the code in this address should not stay in the browser's.
fn refused(provider: Provider, why: Why) -> Response {
    redirect(&format!("/sign-in?with={}&why={}", provider.name(), why.name()))
}

fn failed(error: &ApiError) -> Response {
    message_page(error.status(), "You are not signed in", error.detail(), &TO_SIGN_IN)
}

fn not_offered() -> Response {
    message_page(StatusCode::NOT_FOUND, "There is no such way", "Nobody can sign in with that here.", &TO_SIGN_IN)
}

fn offered(state: &AppState, name: &str) -> Option<Provider> {
    Provider::named(name).filter(|provider| state.services.providers.signing_in(*provider).is_some())
}

/// Sends a browser to a provider. What another site asks for counts nothing and begins nothing: it may be the picture of a page
/// that is to lock the visitor out.
#[handler]
pub(super) async fn begin(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(name): Path<String>,
    jar: &CookieJar,
) -> Result<Response> {
    if is_foreign(request) {
        return Ok(redirect("/sign-in"));
    }
    if let Err(error) = count_client(state, request).await {
        return Ok(failed(&error));
    }
    let attempt = AuthorizationRequest::new();
    let offered = Provider::named(&name).and_then(|provider| {
        let (oauth, _) = state.services.providers.signing_in(provider)?;
        Some((provider, oauth.authorize_url(&attempt)))
    });
    let Some((provider, dialog)) = offered else {
        return Ok(not_offered());
    };
    jar.add(cookies::cookie(state, &cookie_name(provider), attempt.cookie(), state.state_life));
    Ok(redirect(dialog.as_str()))
}

/// One attempt for each provider: a later one in the same browser takes its place.
fn cookie_name(provider: Provider) -> String {
    format!("linecook_sign_in_{}", provider.name())
}

#[derive(Default, Deserialize)]
struct CameBack {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// Why a callback signs nobody in.
enum Failure {
    Refused(Why),
    Api(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Api(error.into())
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unverified => Self::Refused(Why::Unverified),
            LinkError::Closed(_) => Self::Refused(Why::Closed),
            LinkError::Database(error) => error.into(),
        }
    }
}

/// Where a provider sends the browser back to.
#[handler]
pub(super) async fn callback(
    Data(state): Data<&AppState>,
    request: &Request,
    Path(name): Path<String>,
    jar: &CookieJar,
) -> Result<Response> {
    let Some(provider) = offered(state, &name) else {
        return Ok(not_offered());
    };
    let name = cookie_name(provider);
    let kept = cookies::read(jar, state, &name);
    jar.add(cookies::removal(state, &name));
    match finish(state, request, provider, kept).await {
        Ok((session, user)) => {
            jar.add(cookies::session(state, &session));
            jar.add(cookies::known_client(state, &user));
            Ok(redirect("/home"))
        }
        Err(Failure::Refused(why)) => Ok(refused(provider, why)),
        Err(Failure::Api(error)) => Ok(failed(&error)),
    }
}

/// Signs in whoever came back; answers what the session's cookie holds, and who it is. Counts only what began in this browser, as
/// any site can send it here.
async fn finish(
    state: &AppState,
    request: &Request,
    provider: Provider,
    kept: Option<String>,
) -> Result<(String, UserRow), Failure> {
    let came: CameBack = request.params().unwrap_or_default();
    let verifier = kept.zip(came.state).and_then(|(kept, state)| AuthorizationRequest::verifier(&kept, &state));
    let verifier = verifier.ok_or(Failure::Refused(Why::Stale))?;
    count_client(state, request).await?;
    let code = match (came.code, came.error.as_deref()) {
        (Some(code), None) => code.into(),
        (_, Some("access_denied")) => return Err(Failure::Refused(Why::Cancelled)),
        (_, Some(_)) | (None, None) => return Err(Failure::Refused(Why::Failed)),
    };
    let services = &state.services;
    let person = identify(&services.providers, provider, &code, &verifier).await;
    let identity = person.map_err(|error| Failure::Refused(told(provider, &error)))?;
    let from = origin(request);
    let mut tx = state.db.unkeyed().system().await?;
    let user = find_or_link_user(&mut tx, services, &identity, from.remote_address.clone()).await?;
    let session = sign_in::begin_in_browser(&mut tx, services, &user, &from).await.map_err(ApiError::from)?;
    tx.commit().await?;
    Ok((session, user))
}

/// Logs what a provider did not say.
fn told(provider: Provider, error: &ExternalLoginError) -> Why {
    match error {
        ExternalLoginError::Unverified => Why::Unverified,
        ExternalLoginError::NotOffered | ExternalLoginError::Provider(_) => {
            tracing::warn!(provider = provider.name(), causes = chain(error), "nobody could be signed in elsewhere");
            Why::Failed
        }
    }
}
