//! Signs people in with an account at a provider, in a browser.

use jobs::{
    people::{
        external_login::{ExternalLoginError, LinkError, find_or_link_user, identify},
        sign_in::Proven,
    },
    providers::{AuthorizationRequest, LIST, Provider},
};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use super::sign_in;
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

/// Returns the buttons of the providers that are set up, each with its address and its text.
pub(super) fn ways(state: &AppState) -> Vec<(String, String)> {
    let all = LIST.iter().map(|listing| listing.provider);
    let offered = all.filter(|provider| state.services.providers.signing_in(*provider).is_some());
    offered.map(|one| (format!("/sign-in/{}", one.name()), format!("Sign in with {}", one.label()))).collect()
}

/// The reason for which a person who came back is not signed in. It is in the address of the page
/// with the form.
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
            Self::Cancelled => format!("You were not signed in: the sign-in at {label} was cancelled."),
            Self::Stale => {
                "The sign-in took too long, was used before, or began in another browser: try again.".to_owned()
            }
            Self::Unverified => format!(
                "{label} has no verified email address of yours. Verify your main address there and try again, or make an \
                 account here."
            ),
            Self::Closed => format!(
                "There is no account here with the address of your {label} account. You need an invitation to make one: ask \
                 somebody to invite you."
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

/// Returns the message of the form for a person who was sent back to it.
pub(super) fn refusal(request: &Request) -> Option<String> {
    let Refusal { with, why } = request.params().ok()?;
    Some(why.words(Provider::named(&with)?.label()))
}

/// Sends the browser to the form's own page, so that the code in this address does not stay in the
/// browser's.
fn refused(provider: Provider, why: Why) -> Response {
    redirect(&format!("/sign-in?with={}&why={}", provider.name(), why.name()))
}

fn failed(error: &ApiError) -> Response {
    message_page(error.status(), "You are not signed in", error.detail(), &TO_SIGN_IN)
}

fn not_offered() -> Response {
    message_page(StatusCode::NOT_FOUND, "Not offered", "You cannot sign in with that here.", &TO_SIGN_IN)
}

fn offered(state: &AppState, name: &str) -> Option<Provider> {
    Provider::named(name).filter(|provider| state.services.providers.signing_in(*provider).is_some())
}

/// Sends a browser to a provider. A request from another site counts nothing and begins nothing. It
/// may be a picture in a page that is meant to lock the visitor out.
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

/// Returns the name of the cookie: one for each provider, so a later attempt in the same browser
/// replaces an earlier one.
fn cookie_name(provider: Provider) -> String {
    format!("linecook_sign_in_{}", provider.name())
}

#[derive(Default, Deserialize)]
struct CameBack {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// The reasons for which a callback signs nobody in.
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

/// Receives the browser that a provider sends back.
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
        Ok(proven) => Ok(sign_in::begin(state, &proven, &origin(request), jar, "/home").await?),
        Err(Failure::Refused(why)) => Ok(refused(provider, why)),
        Err(Failure::Api(error)) => Ok(failed(&error)),
    }
}

/// Finds the person who came back. Only attempts that began in this browser count, as any site can
/// send it here.
async fn finish(
    state: &AppState,
    request: &Request,
    provider: Provider,
    kept: Option<String>,
) -> Result<Proven, Failure> {
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
    let mut tx = state.db.unkeyed().system().await?;
    let user = find_or_link_user(&mut tx, services, &identity, origin(request).remote_address).await?;
    tx.commit().await?;
    Ok(Proven::by_provider(user))
}

/// Logs why a provider identified nobody, and returns the reason for the form.
fn told(provider: Provider, error: &ExternalLoginError) -> Why {
    match error {
        ExternalLoginError::Unverified => Why::Unverified,
        ExternalLoginError::NotOffered | ExternalLoginError::Provider(_) => {
            tracing::warn!(provider = provider.name(), causes = chain(error), "nobody could be signed in elsewhere");
            Why::Failed
        }
    }
}
