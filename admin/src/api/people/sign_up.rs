//! Registering, links in mails, and forgotten passwords.

#![expect(clippy::disallowed_methods, reason = "signing in and registering takes no Idempotency-Key")]

use jobs::people::{
    accept::{self, AcceptError, Newcomer},
    recover::{self, ResetError},
    sign_up::{self, NewPerson, RegisterError, VerifyError},
    throttle::Throttle,
};
use poem::Request;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use uuid::Uuid;

use super::{MailView, address, evenly, origin, require_mail};
use crate::{
    ApiError,
    api::Tag,
    error::ErrorCode,
    http::{Body, Named},
    state::AppState,
};

/// A person who registers.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewPersonBody {
    name: Named<1, 100>,
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    email: String,
    /// 10 characters or more, and not easy to guess.
    #[oai(validator(max_length = 200))]
    password: String,
    /// The name of the restaurant, the agency or the artist, and of the new tenant.
    organization_name: Named<1, 200>,
}

/// A code from a link in a mail, and the password that was registered with it.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct VerifyBody {
    #[oai(validator(max_length = 100))]
    code: String,
    #[oai(validator(max_length = 200))]
    password: String,
}

/// An address.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct AddressBody {
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    email: String,
}

/// A new password, with the code from the link in a mail.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct ResetBody {
    #[oai(validator(max_length = 100))]
    code: String,
    /// 10 characters or more, and not easy to guess.
    #[oai(validator(max_length = 200))]
    password: String,
}

/// The code of an invitation. If the address has no account yet, the name and the password make
/// one.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct AcceptBody {
    #[oai(validator(max_length = 100))]
    code: String,
    name: Option<Named<1, 100>>,
    #[oai(validator(max_length = 200))]
    password: Option<String>,
}

/// The next step.
#[derive(Debug, Object)]
struct ReadyView {
    /// The next step, in words.
    next: String,
}

/// The tenant that the person joined.
#[derive(Debug, Object)]
struct JoinedView {
    tenant_id: Uuid,
}

#[derive(ApiResponse)]
enum Mailed {
    /// A mail is sent, whether or not the address has an account. Its text depends on that.
    #[oai(status = 202)]
    Mailed(Json<MailView>),
}

pub(crate) struct SignUpApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::People")]
impl SignUpApi {
    /// Register. Open to everybody.
    ///
    /// A mail brings a link, which is valid for a day.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(&self, request: &Request, body: Body<NewPersonBody>) -> Result<Mailed, ApiError> {
        let body = body.0;
        let email = address(&body.email)?;
        require_mail(&self.state)?;
        self.count(request).await?;
        let (name, organization_name) = (body.name.0, body.organization_name.0);
        let person = NewPerson { name, email, password: body.password.into(), organization_name };
        evenly(sign_up::register(self.state.db.unkeyed(), &self.state.services, person)).await?;
        Ok(Mailed::Mailed(Json(MailView::sent())))
    }

    /// Confirm an email address. Open to everybody.
    ///
    /// Takes the code at the end of the mailed link, and the password that was registered with it.
    #[oai(path = "/verify-email", method = "post", operation_id = "verify_email")]
    async fn verify(&self, request: &Request, body: Body<VerifyBody>) -> Result<Json<ReadyView>, ApiError> {
        self.count(request).await?;
        let (state, from) = (&self.state, origin(request).remote_address);
        let VerifyBody { code, password } = body.0;
        sign_up::verify(state.db.unkeyed(), &state.services, &code, password.into(), from).await?;
        Ok(Json(ReadyView { next: "Sign in with the password that you chose.".to_owned() }))
    }

    /// Ask for a mail with a link to choose a new password. Open to everybody.
    #[oai(path = "/forgot-password", method = "post", operation_id = "forgot_password")]
    async fn forgot(&self, request: &Request, body: Body<AddressBody>) -> Result<Mailed, ApiError> {
        let email = address(&body.email)?;
        require_mail(&self.state)?;
        self.count(request).await?;
        evenly(recover::forgot(self.state.db.unkeyed(), &email)).await?;
        Ok(Mailed::Mailed(Json(MailView::sent())))
    }

    /// Choose a new password. Open to everybody.
    ///
    /// Takes the code at the end of the mailed link. All sessions of the person end.
    #[oai(path = "/reset-password", method = "post", operation_id = "reset_password")]
    async fn reset(&self, request: &Request, body: Body<ResetBody>) -> Result<Json<ReadyView>, ApiError> {
        self.count(request).await?;
        let (state, from) = (&self.state, origin(request).remote_address);
        let ResetBody { code, password } = body.0;
        recover::reset(state.db.unkeyed(), &state.services, &code, password.into(), from).await?;
        Ok(Json(ReadyView { next: "Sign in with the new password.".to_owned() }))
    }

    /// Accept an invitation, with the code at the end of the mailed link. Open to everybody.
    #[oai(path = "/accept-invitation", method = "post", operation_id = "accept_invitation")]
    async fn accept(&self, request: &Request, body: Body<AcceptBody>) -> Result<Json<JoinedView>, ApiError> {
        let body = body.0;
        let newcomer = match (body.name, body.password) {
            (Some(name), Some(password)) => Some(Newcomer { name: name.0, password: password.into() }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(AcceptError::Newcomer.into()),
        };
        self.count(request).await?;
        let from = origin(request).remote_address;
        let tenant_id =
            accept::accept(self.state.db.unkeyed(), &self.state.services, &body.code, newcomer, from).await?;
        Ok(Json(JoinedView { tenant_id: tenant_id.0 }))
    }
}

impl SignUpApi {
    async fn count(&self, request: &Request) -> Result<(), ApiError> {
        count_client(&self.state, request).await
    }
}

/// Counts a request without credentials against the limit of its client.
pub(crate) async fn count_client(state: &AppState, request: &Request) -> Result<(), ApiError> {
    let mut tx = state.db.unkeyed().system().await?;
    Throttle::CLIENT.require(&mut tx, &origin(request).counted_as).await?;
    Ok(tx.commit().await?)
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed(sign_up) => sign_up.into(),
            RegisterError::Weak(error) => error.into(),
            RegisterError::Letter(error) => error.into(),
        }
    }
}

impl From<ResetError> for ApiError {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Code => Self::bad_code(),
            ResetError::Weak(error) => error.into(),
            ResetError::Database(error) => error.into(),
        }
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Code => Self::bad_code(),
            VerifyError::Password => Self::wrong_password(),
            VerifyError::Closed(sign_up) => sign_up.into(),
            VerifyError::Database(error) => error.into(),
        }
    }
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Invalid => Self::bad_code(),
            AcceptError::Newcomer => Self::unprocessable(
                ErrorCode::NameAndPassword,
                "This address has no account yet: send name and password to make one.",
            ),
            AcceptError::Closed(sign_up) => sign_up.into(),
            AcceptError::Weak(error) => error.into(),
            AcceptError::Database(error) => error.into(),
        }
    }
}
