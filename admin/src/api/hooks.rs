//! Calls of providers: a person removed our app there, or wants their data erased.

use jobs::{connections, providers::ReportError};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Path,
    payload::{Form, Json},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{ApiError, api::Tag, error::ErrorCode, pages::deletion_url, state::AppState};

/// A signed request of a provider.
#[derive(Debug, Object, Deserialize)]
struct SignedRequest {
    /// The signature and the payload, each in base64url, with a dot between them.
    #[oai(validator(max_length = 4096))]
    signed_request: String,
}

/// The place at which a person sees what was erased.
#[derive(Debug, Object)]
struct DeletionView {
    /// The address of the page.
    url: String,
    /// The code that the address ends with.
    confirmation_code: String,
}

/// The response to a report that was accepted.
#[derive(ApiResponse)]
enum Noted {
    /// The connections of the person end within a minute.
    #[oai(status = 200)]
    Noted,
}

pub(crate) struct HooksApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/hooks", tag = "Tag::Accounts")]
impl HooksApi {
    /// Report that a person removed the app.
    ///
    /// A provider calls it, such as `meta`, and signs the request with the app's secret. The
    /// person's tokens are erased in every tenant, and their accounts have to be connected again.
    #[oai(path = "/:sender/deauthorize", method = "post", operation_id = "report_deauthorization")]
    async fn deauthorize(&self, sender: Path<String>, body: Form<SignedRequest>) -> Result<Noted, ApiError> {
        self.accept(&sender.0, &body.signed_request, false).await?;
        Ok(Noted::Noted)
    }

    /// Report that a person wants their data erased.
    ///
    /// A provider calls it, such as `meta`, and signs the request with the app's secret. The
    /// response names the page on which the person sees what was erased.
    #[oai(path = "/:sender/data-deletion", method = "post", operation_id = "report_data_deletion")]
    async fn delete_data(
        &self,
        sender: Path<String>,
        body: Form<SignedRequest>,
    ) -> Result<Json<DeletionView>, ApiError> {
        let id = self.accept(&sender.0, &body.signed_request, true).await?;
        let (url, confirmation_code) = deletion_url(&self.state, id);
        Ok(Json(DeletionView { url, confirmation_code }))
    }
}

impl HooksApi {
    /// Stores a report, and enqueues the job that acts on it. A report that came before has no
    /// effect.
    async fn accept(&self, sender: &str, signed_request: &str, erases_data: bool) -> Result<Uuid, ApiError> {
        #[expect(clippy::disallowed_methods, reason = "a provider calls; a report that comes twice is one")]
        let mut tx = self.state.db.unkeyed().system().await?;
        let now = tx.now().await?;
        let (provider, report) = self.state.services.providers.read_report(sender, signed_request, now)?;
        let id = connections::deauthorize(&mut tx, (provider, &report), signed_request, erases_data).await?;
        tx.commit().await?;
        Ok(id)
    }
}

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::UnknownSender => Self::not_found("provider"),
            ReportError::Malformed | ReportError::Signature | ReportError::Algorithm | ReportError::Age => {
                Self::bad_request(ErrorCode::BadSignedRequest, format!("signed_request: {error}."))
            }
        }
    }
}
