//! Signing in and out.

#![expect(clippy::disallowed_methods, reason = "what concerns signing in takes no Idempotency-Key")]

use jobs::people::{access_token, sessions, sign_in};
use poem::{Request, web::cookie::CookieJar};
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use super::origin;
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    http::{Body, cookies},
    state::AppState,
};

/// Somebody who signs in.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct LoginBody {
    #[oai(validator(max_length = 254))]
    email: String,
    #[oai(validator(max_length = 200))]
    password: String,
}

/// A token to be exchanged.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct RefreshBody {
    #[oai(validator(max_length = 100))]
    refresh_token: String,
}

/// What a program holds that is signed in.
#[derive(Debug, Object)]
struct TokensView {
    /// For `Authorization: Bearer ...`.
    access_token: String,
    /// `Bearer`.
    token_type: String,
    /// How long the access token is good.
    expires_in: u64,
    /// Good for one exchange, by POST /auth/refresh. It ends with 30 days without use.
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
    /// The session has ended: neither its tokens nor its cookie are good any more.
    #[oai(status = 204)]
    SignedOut,
}

pub(crate) struct SessionsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::People")]
impl SessionsApi {
    /// Sign in. Open to everybody; tries are counted by address and by client.
    ///
    /// The cookie of the answer makes the client known: sent with the next login, it counts apart from strangers.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        request: &Request,
        jar: &CookieJar,
        body: Body<LoginBody>,
    ) -> Result<Json<TokensView>, ApiError> {
        let LoginBody { email, password } = body.0;
        let (state, from) = (&self.state, origin(request));
        let user = sign_in::check(state.db.unkeyed(), &state.services, &email, password.into(), &from).await?;
        let mut tx = state.db.unkeyed().system().await?;
        let tokens = sign_in::begin(&mut tx, &state.services, &state.public_url, &user, &from).await?;
        tx.commit().await?;
        jar.add(cookies::known_client(state, &user));
        Ok(Json(tokens.into()))
    }

    /// Exchange a refresh token for the next pair. One that was exchanged before ends its session, as somebody else has it; within
    /// ten seconds it is taken again, as the answer may have been lost. Open to everybody.
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
    async fn logout(&self, #[oai(scope = "Needs::Person")] caller: Caller) -> Result<SignedOut, ApiError> {
        let person = caller.person()?;
        let mut tx = self.state.db.unkeyed().system().await?;
        sessions::revoke(&mut tx, person.session_id).await?;
        tx.commit().await?;
        Ok(SignedOut::SignedOut)
    }
}
