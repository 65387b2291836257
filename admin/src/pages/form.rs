//! The forms of our pages.

use poem::{FromRequest, Request, RequestBody, Result, web::Form};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{ApiError, auth, state::AppState};

/// The content of one of our forms. Forms of other sites are refused: browsers say where a request
/// comes from.
pub(crate) struct Sent<T>(pub(crate) T);

impl<'a, T: DeserializeOwned> FromRequest<'a> for Sent<T> {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let state = request.data::<AppState>();
        if !state.is_some_and(|state| auth::is_ours(request, &state.public_url)) {
            return Err(ApiError::foreign_form().into());
        }
        let Form(sent) = Form::<T>::from_request(request, body).await?;
        Ok(Self(sent))
    }
}

/// Returns the accounts that are ticked in a form. What is no id is ignored, as nobody can choose
/// it.
pub(crate) fn ticked(fields: &[(String, String)]) -> Vec<Uuid> {
    fields.iter().filter(|(name, _)| name == "account").filter_map(|(_, id)| id.parse().ok()).collect()
}
