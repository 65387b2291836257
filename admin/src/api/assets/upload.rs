//! Uploads: a form with a picture, decoded once within the budgets of the process.

use std::{io::Read as _, time::Duration};

use bytes::Bytes;
use jobs::{
    assets::{MAX_CHECKING_BYTES, MAX_UPLOAD_BYTES, Picture, PictureError},
    name::Name,
};
use poem::{Request, RequestBody};
use poem_openapi::{
    impl_apirequest_for_payload,
    payload::{ParsePayload, Payload},
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};

use crate::{
    ApiError,
    budgets::{Budgets, Held},
    error::ErrorCode,
    http::form::{Content, Field, File, Form},
};

/// The longest name of a picture, and how many words it has, of which length.
const MAX_NAME: usize = 200;
const MAX_TAGS: usize = 50;
const MAX_TAG: usize = 50;

/// An upload waits so long for its turn.
const PATIENCE: Duration = Duration::from_secs(45);

/// A small picture counts as this much memory, so that few are decoded at once.
const LEAST_BYTES: usize = MAX_CHECKING_BYTES / 4;

/// A picture to upload.
#[derive(Debug)]
pub(crate) struct UploadForm {
    pub(super) name: Name,
    pub(super) tags: Vec<String>,
    /// It has one file.
    pub(super) form: Form,
}

impl Payload for UploadForm {
    const CONTENT_TYPE: &'static str = "multipart/form-data";

    fn check_content_type(content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(Self::CONTENT_TYPE)
    }

    fn schema_ref() -> MetaSchemaRef {
        let described =
            |schema: MetaSchemaRef, words| schema.merge(MetaSchema { description: Some(words), ..MetaSchema::ANY });
        let file = MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            required: vec!["file"],
            properties: vec![
                ("file", described(file, "A JPEG or PNG file of at most 20 MiB.")),
                (
                    "tags",
                    described(
                        Option::<String>::schema_ref(),
                        "Tags to find it by, separated by commas: `summer,pizza`.",
                    ),
                ),
            ],
            ..MetaSchema::new("object")
        }))
    }

    fn register(_registry: &mut Registry) {}
}

impl ParsePayload for UploadForm {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let form = request.extensions().get::<Form>().cloned();
        let form = form.ok_or_else(|| unprocessable("file: the form is empty; send a picture in it."))?;
        Ok(Self::read(form)?)
    }
}

impl_apirequest_for_payload!(UploadForm);

impl UploadForm {
    fn read(form: Form) -> Result<Self, ApiError> {
        let fields = form.fields();
        if let Some(unknown) = fields.iter().find(|field| !["file", "tags"].contains(&field.name.as_str())) {
            let detail = format!("{}: there is no such field; there are file and tags.", unknown.name);
            return Err(ApiError::bad_request(ErrorCode::Malformed, detail));
        }
        let name = Name::of_foreign(&file(&form)?.name, MAX_NAME)
            .ok_or_else(|| unprocessable("file: it should have a filename, such as photo.jpg."))?;
        let words = match only(fields, "tags")? {
            Some(Content::Text(words)) => tags(words)?,
            Some(Content::File(_)) => return Err(unprocessable("tags: it should be a text, not a file.")),
            None => Vec::new(),
        };
        Ok(Self { name, tags: words, form })
    }
}

fn only<'a>(fields: &'a [Field], name: &str) -> Result<Option<&'a Content>, ApiError> {
    let mut found = fields.iter().filter(|field| field.name == name);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(unprocessable(format!("{name}: send it once."))),
        (first, None) => Ok(first.map(|field| &field.content)),
    }
}

fn file(form: &Form) -> Result<&File, ApiError> {
    match only(form.fields(), "file")? {
        Some(Content::File(file)) => Ok(file),
        Some(Content::Text(_)) => Err(unprocessable("file: it should be sent as a file, with a filename.")),
        None => Err(unprocessable("file: the form should have a picture in this field.")),
    }
}

fn unprocessable(detail: impl Into<String>) -> ApiError {
    ApiError::unprocessable(ErrorCode::NotAPicture, detail)
}

fn tags(words: &str) -> Result<Vec<String>, ApiError> {
    let refused = || {
        let detail = format!(
            "tags: it should be {MAX_TAGS} words of {MAX_TAG} characters at most, between commas, in one line."
        );
        ApiError::unprocessable(ErrorCode::BadTags, detail)
    };
    let words = words.split(',').map(str::trim).filter(|tag| !tag.is_empty());
    let tags: Vec<String> = words
        .map(|tag| Name::parse(tag, 1..=MAX_TAG).map(String::from))
        .collect::<Result<_, _>>()
        .map_err(|_| refused())?;
    if tags.len() <= MAX_TAGS { Ok(tags) } else { Err(refused()) }
}

/// Reads the picture of a form into memory and decodes it once, when its turn comes.
pub(super) async fn read_picture(budgets: &Budgets, form: Form) -> Result<(Picture, Bytes, Held), ApiError> {
    let size_bytes = file(&form)?.size_bytes;
    if size_bytes > MAX_UPLOAD_BYTES {
        return Err(PictureError::TooLarge.into());
    }
    let held = budgets.pictures.take(size_bytes, PATIENCE).await?;
    let (checking_bytes, bytes) = blocking(move || {
        let mut bytes = Vec::with_capacity(size_bytes);
        let mut source = &file(&form)?.bytes;
        source.read_to_end(&mut bytes).map_err(|error| ApiError::unavailable("disk", error))?;
        let (_, checking_bytes) = Picture::inspect(&bytes)?;
        Ok((checking_bytes, Bytes::from(bytes)))
    })
    .await?;
    let decoding = budgets.decoding.take(checking_bytes.max(LEAST_BYTES), PATIENCE).await?;
    let decoded = bytes.clone();
    let picture = blocking(move || {
        let picture = Picture::probe(&decoded)?;
        drop(decoding);
        Ok(picture)
    })
    .await?;
    Ok((picture, bytes, held))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?
}
