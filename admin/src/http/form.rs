//! Multipart forms, read as they arrive. Files go to the disk, and only one chunk is in memory.

mod disposition;

use std::{
    io::{self, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use multer::Multipart;
use poem::http::header;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use self::disposition::Disposition;
use super::fingerprint::digest;
use crate::{
    ApiError,
    budgets::{Budget, Held},
    error::ErrorCode,
};

/// The longest boundary. Source: RFC 2046, section 5.1.1.
const MAX_BOUNDARY: usize = 70;

/// The most fields of a form.
const MAX_FIELDS: usize = 20;

/// The largest head of a field, and the largest field that is no file.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// A form that arrived whole; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    fields: Arc<Vec<Field>>,
    sha256: Arc<[u8]>,
}

/// A field of a form.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// The content of a field.
#[derive(Debug)]
pub(crate) enum Content {
    Text(String),
    File(File),
}

/// A file of a form. It is on the disk without a name, and disappears when this is dropped.
#[derive(Debug)]
pub(crate) struct File {
    /// Its name at the client, which may be empty.
    pub(crate) name: String,
    pub(crate) bytes: std::fs::File,
    pub(crate) size_bytes: usize,
    _held: Option<Held>,
}

/// The reason for which a body is not read further.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("it is larger than the operation allows")]
    TooLarge,
    #[error("the head of a field is too long")]
    LongHead,
    #[error("it broke off: {0}")]
    BrokenOff(io::Error),
}

impl Form {
    /// Reads a form of at most `limit_bytes`. Its files count against the budget `disk`.
    pub(crate) async fn read(
        chunks: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
        content_type: &str,
        limit_bytes: usize,
        disk: &Budget,
    ) -> Result<Self, ApiError> {
        let boundary = boundary(content_type)?;
        let refused = |error| refusal(error, limit_bytes);
        let head_left = Arc::new(AtomicUsize::new(MAX_TEXT_BYTES));
        let mut parts = Multipart::new(counted(chunks, limit_bytes, Arc::clone(&head_left)), boundary);
        let (mut fields, mut sums) = (Vec::new(), Vec::new());
        while let Some(part) = parts.next_field().await.map_err(refused)? {
            head_left.store(usize::MAX, Ordering::Relaxed);
            if fields.len() == MAX_FIELDS {
                return Err(malformed(format!("it has more than {MAX_FIELDS} fields")));
            }
            let (field, sum) = read_field(part, limit_bytes, disk).await?;
            fields.push(field);
            sums.push(sum);
            head_left.store(MAX_TEXT_BYTES, Ordering::Relaxed);
        }
        let sha256 = digest(sums.iter().map(Vec::as_slice)).into();
        Ok(Self { fields: Arc::new(fields), sha256 })
    }

    /// Returns the fields in their order.
    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Returns a hash of the fields. It does not depend on the boundary of the form.
    pub(crate) fn sha256(&self) -> &[u8] {
        &self.sha256
    }
}

fn boundary(content_type: &str) -> Result<String, ApiError> {
    match multer::parse_boundary(content_type) {
        Ok(boundary) if (1..=MAX_BOUNDARY).contains(&boundary.len()) => Ok(boundary),
        Ok(_) | Err(_) => Err(ApiError::bad_request(
            ErrorCode::Malformed,
            format!(
                "Content-Type: it should be multipart/form-data with a boundary of 1 to {MAX_BOUNDARY} characters."
            ),
        )),
    }
}

/// Counts the bytes that the parser reads, in all and in heads. The parser reads everything that it
/// can get, so it gets one chunk at a time.
fn counted(
    chunks: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
    limit_bytes: usize,
    head_left: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, Stop>> + Send {
    let mut left_bytes = limit_bytes;
    let counted = chunks.map(move |chunk| {
        let chunk = chunk.map_err(Stop::BrokenOff)?;
        left_bytes = left_bytes.checked_sub(chunk.len()).ok_or(Stop::TooLarge)?;
        let head = head_left.load(Ordering::Relaxed).checked_sub(chunk.len()).ok_or(Stop::LongHead)?;
        head_left.store(head, Ordering::Relaxed);
        Ok(chunk)
    });
    stream::unfold((counted, false), |(mut counted, is_late)| async move {
        if is_late {
            tokio::task::yield_now().await;
        }
        let chunk = counted.next().await?;
        Some((chunk, (counted, true)))
    })
}

/// Returns a field and the hash of its content.
async fn read_field(
    mut part: multer::Field<'_>,
    limit_bytes: usize,
    disk: &Budget,
) -> Result<(Field, Vec<u8>), ApiError> {
    let head = part.headers().get(header::CONTENT_DISPOSITION);
    let disposition = head.and_then(|head| Disposition::parse(head.as_bytes()));
    let Some(Disposition { name, file_name }) = disposition else {
        return Err(malformed("a field has no name"));
    };
    let (content, sum) = match &file_name {
        Some(file_name) => spool(&mut part, file_name.clone(), limit_bytes, disk).await?,
        None => collect(&mut part, &name, limit_bytes).await?,
    };
    let sums = [name.as_bytes(), file_name.as_deref().unwrap_or_default().as_bytes(), &sum];
    let sum = digest(sums);
    Ok((Field { name, content }, sum))
}

async fn collect(part: &mut multer::Field<'_>, name: &str, limit_bytes: usize) -> Result<(Content, Vec<u8>), ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|error| refusal(error, limit_bytes))? {
        if bytes.len() + chunk.len() > MAX_TEXT_BYTES {
            return Err(malformed(format!("the field {name} has more than {MAX_TEXT_BYTES} bytes and no filename")));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed(format!("the field {name} is no text in UTF-8")))?;
    let sum = Sha256::digest(&text).to_vec();
    Ok((Content::Text(text), sum))
}

async fn spool(
    part: &mut multer::Field<'_>,
    name: String,
    limit_bytes: usize,
    disk: &Budget,
) -> Result<(Content, Vec<u8>), ApiError> {
    let failed = |error| ApiError::unavailable("disk", error);
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(ApiError::internal)?.map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let (mut sum, mut held, mut size_bytes) = (Sha256::new(), None::<Held>, 0);
    while let Some(chunk) = part.chunk().await.map_err(|error| refusal(error, limit_bytes))? {
        let more = disk.try_take(chunk.len())?;
        match &mut held {
            Some(held) => held.add(more),
            None => held = Some(more),
        }
        sum.update(&chunk);
        size_bytes += chunk.len();
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.seek(SeekFrom::Start(0)).await.map_err(failed)?;
    let file = File { name, bytes: file.into_std().await, size_bytes, _held: held };
    Ok((Content::File(file), sum.finalize().to_vec()))
}

fn malformed(why: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(ErrorCode::Malformed, format!("The form cannot be read: {why}."))
}

fn refusal(error: multer::Error, limit_bytes: usize) -> ApiError {
    if let multer::Error::StreamReadFailed(source) = &error {
        return match source.downcast_ref::<Stop>() {
            Some(Stop::TooLarge) => ApiError::too_large(limit_bytes),
            Some(stop) => malformed(stop),
            None => malformed(error),
        };
    }
    malformed("it should be multipart/form-data as RFC 7578 has it, to its last boundary")
}

#[cfg(test)]
mod tests;
