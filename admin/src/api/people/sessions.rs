//! Signing in and out.

#![expect(clippy::disallowed_methods, reason = "signing in takes no Idempotency-Key")]

use jobs::{
    engine::Scope,
    people::{
        access_token, sessions,
        sign_in::{self, Begun, Proven, second_step},
    },
};
use poem::{Request, web::cookie::CookieJar};
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use super::{count_client, origin};
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    http::{Body, cookies},
    state::AppState,
};

/// The credentials of a person.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct LoginBody {
    #[oai(validator(max_length = 254))]
    email: String,
    #[oai(validator(max_length = 200))]
    password: String,
}

/// The second step of somebody who signs in.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct LoginCodeBody {
    /// The `sign_in_token` of `POST /auth/login`.
    #[oai(validator(max_length = 100))]
    sign_in_token: String,
    /// Six digits of the authenticator app, or a recovery code.
    #[oai(validator(max_length = 60))]
    code: String,
}

/// A sign-in that waits for a code.
#[derive(Debug, Object)]
struct PendingView {
    /// The name of this sign-in, for POST /auth/login/code.
    sign_in_token: String,
    /// The seconds for which it waits.
    expires_in: u64,
    /// The next step for the person.
    next: String,
}

impl From<String> for PendingView {
    fn from(sign_in_token: String) -> Self {
        let next = "Send sign_in_token and a code of the authenticator app to POST /auth/login/code.".to_owned();
        Self { sign_in_token, expires_in: second_step::LIFE.as_secs(), next }
    }
}

#[derive(ApiResponse)]
enum LoginAnswer {
    /// The person is signed in.
    #[oai(status = 200)]
    SignedIn(Json<TokensView>),
    /// The password is right, and the person has a second factor: its code is awaited.
    #[oai(status = 202)]
    NeedsCode(Json<PendingView>),
}

impl From<Begun<sign_in::Tokens>> for LoginAnswer {
    fn from(begun: Begun<sign_in::Tokens>) -> Self {
        match begun {
            Begun::SignedIn(tokens) => Self::SignedIn(Json(tokens.into())),
            Begun::NeedsCode(pending) => Self::NeedsCode(Json(pending.into())),
        }
    }
}

/// A refresh token to exchange.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct RefreshBody {
    #[oai(validator(max_length = 100))]
    refresh_token: String,
}

/// The tokens of a program that is signed in.
#[derive(Debug, Object)]
struct TokensView {
    /// The access token, for `Authorization: Bearer ...`.
    access_token: String,
    /// `Bearer`.
    token_type: String,
    /// The seconds for which the access token is valid.
    expires_in: u64,
    /// Valid for one exchange by POST /auth/refresh, within 30 days.
    refresh_token: String,
}

impl From<sign_in::Tokens> for TokensView {
    fn from(tokens: sign_in::Tokens) -> Self {
        Self {
            access_token: tokens.access,
            token_type: "Bearer".to_owned(),
            expires_in: access_token::LIFE.as_secs(),
            refresh_token: tokens.refresh,
        }
    }
}

#[derive(ApiResponse)]
enum SignedOut {
    /// The session has ended. Its tokens and its cookie are void.
    #[oai(status = 204)]
    SignedOut,
}

pub(crate) struct SessionsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::People")]
impl SessionsApi {
    /// Sign in. Open to everybody.
    ///
    /// A person with a second factor gets a `sign_in_token` for `POST /auth/login/code` instead of
    /// tokens. Attempts are counted for each address and each client. A response with tokens sets a
    /// cookie that makes the client known. If the next login sends it, its attempts count
    /// separately from those of strangers.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(&self, request: &Request, jar: &CookieJar, body: Body<LoginBody>) -> Result<LoginAnswer, ApiError> {
        let LoginBody { email, password } = body.0;
        let (state, from) = (&self.state, origin(request));
        let proven = sign_in::check(state.db.unkeyed(), &state.services, &email, password.into(), &from).await?;
        self.begin(&proven, request, jar).await
    }

    /// Finish signing in with a code of the second factor. Open to everybody.
    ///
    /// Each code is good once. Guesses are counted for the person.
    #[oai(path = "/login/code", method = "post", operation_id = "login_with_code")]
    async fn login_with_code(
        &self,
        request: &Request,
        jar: &CookieJar,
        body: Body<LoginCodeBody>,
    ) -> Result<LoginAnswer, ApiError> {
        let LoginCodeBody { sign_in_token, code } = body.0;
        let (state, from) = (&self.state, origin(request));
        count_client(state, request).await?;
        let db = state.db.unkeyed();
        let proven = second_step::check(db, &state.services, &sign_in_token, &code, &from).await?;
        self.begin(&proven, request, jar).await
    }

    /// Exchange a refresh token for the next pair of tokens. Open to everybody.
    ///
    /// If a token that was exchanged before comes back, it counts as stolen, and its session ends.
    /// Within ten seconds of the exchange it is accepted again, as the response may have been lost.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(&self, request: &Request, body: Body<RefreshBody>) -> Result<Json<TokensView>, ApiError> {
        let (state, from) = (&self.state, origin(request));
        let mut tx = state.db.unkeyed().system().await?;
        let tokens = sign_in::refresh(&mut tx, &state.services, &state.public_url, &body.refresh_token, &from).await?;
        tx.commit().await?;
        tokens.map(|tokens| Json(tokens.into())).ok_or_else(ApiError::bad_refresh_token)
    }

    /// Sign out.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, #[oai(scope = "Needs::Person")] caller: Caller) -> Result<Answered<SignedOut>, ApiError> {
        let person = caller.person()?;
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        sessions::revoke(&mut tx, person.session_id).await?;
        tx.answer(SignedOut::SignedOut).await
    }
}

impl SessionsApi {
    async fn begin(&self, proven: &Proven, request: &Request, jar: &CookieJar) -> Result<LoginAnswer, ApiError> {
        let (state, from) = (&self.state, origin(request));
        let mut tx = state.db.unkeyed().system().await?;
        let begun = sign_in::begin(&mut tx, &state.services, &state.public_url, proven, &from).await?;
        tx.commit().await?;
        if matches!(begun, Begun::SignedIn(_)) {
            jar.add(cookies::known_client(state, proven.user()));
        }
        Ok(begun.into())
    }
}
