//! JSON bodies of requests, read into what an operation takes.

use std::ops::Deref;

use poem::{Request, RequestBody};
use poem_openapi::{
    impl_apirequest_for_payload,
    payload::{Json, ParsePayload, Payload},
    registry::{MetaSchemaRef, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;

use super::{schema::check_body, values::check_json};
use crate::{ApiError, error::ErrorCode};

/// A JSON body that its described schema allows.
pub(crate) struct Body<T>(pub(crate) T);

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        Json::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Json::<T>::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let Json(mut value) = Json::<Value>::from_request(request, body).await?;
        check_json("", &value)?;
        check_body::<T>(&mut value)?;
        // The framework's reason may quote the body, and so a password.
        T::parse_from_json(Some(value)).map(Self).map_err(|_| {
            let detail = "The body is not one that this operation takes: see /docs.";
            ApiError::bad_request(ErrorCode::Malformed, detail).into()
        })
    }
}

impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);
