//! Object storage: a folder on one machine, or S3.

use std::{io, sync::Arc};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, local::LocalFileSystem, path::Path};
use url::Url;

use crate::{
    engine::{Cause, CauseClass, JobError},
    value_parsers::is_private_way,
};

/// The number of objects deleted at once: the maximum of one request to S3.
const DELETED_AT_ONCE: usize = 1_000;

/// The store of bytes, by key.
#[derive(Debug, Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
}

/// The reasons for which the storage failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The key has no object.
    #[error("nothing is stored under that key")]
    Missing,
    /// The storage refused or cannot be reached.
    #[error("the storage failed")]
    Failed(#[source] object_store::Error),
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        if matches!(error, object_store::Error::NotFound { .. }) { Self::Missing } else { Self::Failed(error) }
    }
}

impl From<StorageError> for JobError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Missing => {
                Self::Fail(Cause::new(CauseClass::Permanent, "The picture's file is gone: upload it again.", error))
            }
            StorageError::Failed(_) => Self::Retry(Cause::new(
                CauseClass::Storage,
                "The picture storage did not answer; it is tried again.",
                error,
            )),
        }
    }
}

impl Storage {
    /// Opens `file:///folder` (made if missing) or `s3://bucket?region=...&endpoint=...`. S3 also
    /// reads `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    pub fn open(url: &Url) -> anyhow::Result<Self> {
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => {
                let folder = url.to_file_path().ok().context("STORAGE_URL should look like file:///folder")?;
                std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
                Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true))
            }
            "s3" => {
                let mut builder = AmazonS3Builder::from_env()
                    .with_bucket_name(url.host_str().context("STORAGE_URL names no bucket")?);
                for (key, value) in url.query_pairs() {
                    builder = match key.as_ref() {
                        "region" => builder.with_region(value),
                        "endpoint" if !Url::parse(&value).is_ok_and(|url| is_private_way(&url)) => bail!(
                            "STORAGE_URL: endpoint should look like https://...; plain http is for private networks only"
                        ),
                        "endpoint" => builder.with_allow_http(value.starts_with("http:")).with_endpoint(value),
                        other => bail!("STORAGE_URL has an unknown parameter {other:?}: use region and endpoint"),
                    };
                }
                Arc::new(builder.build().context("STORAGE_URL cannot be used")?)
            }
            other => bail!("STORAGE_URL should begin with file:// or s3://, not {other}://"),
        };
        Ok(Self { store })
    }

    /// Stores bytes, and replaces the object of the same key.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.store.put(&Path::from(key), bytes.into()).await?;
        Ok(())
    }

    /// Returns the bytes of a key.
    ///
    /// # Errors
    /// Returns [`StorageError::Missing`] if the key has no object.
    pub async fn get(&self, key: &str) -> Result<Bytes, StorageError> {
        Ok(self.store.get(&Path::from(key)).await?.bytes().await?)
    }

    /// Returns the bytes of an object as a stream, and their number.
    pub async fn stream(&self, key: &str) -> Result<(BoxStream<'static, Result<Bytes, io::Error>>, u64), StorageError> {
        let found = self.store.get(&Path::from(key)).await?;
        let size_bytes = found.meta.size;
        Ok((found.into_stream().map_err(io::Error::other).boxed(), size_bytes))
    }

    /// Deletes an object if it exists.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        match self.store.delete(&Path::from(key)).await.map_err(StorageError::from) {
            Ok(()) | Err(StorageError::Missing) => Ok(()),
            Err(error @ StorageError::Failed(_)) => Err(error),
        }
    }

    /// Deletes some objects of a folder. Returns their number, which is 0 when nothing is left.
    pub async fn delete_some(&self, folder: &str) -> Result<u64, StorageError> {
        let folder = Path::from(folder);
        let found: Vec<_> = self.store.list(Some(&folder)).take(DELETED_AT_ONCE).try_collect().await?;
        let keys = stream::iter(found.into_iter().map(|file| Ok(file.location))).boxed();
        let mut answers = self.store.delete_stream(keys);
        let mut deleted = 0;
        while let Some(answer) = answers.next().await {
            match answer.map_err(StorageError::from) {
                Ok(_) | Err(StorageError::Missing) => deleted += 1,
                Err(error @ StorageError::Failed(_)) => return Err(error),
            }
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_at_a_public_name_is_reached_by_https_only() {
        let open = |endpoint: &str| {
            let url = format!("s3://bucket?region=x&endpoint={endpoint}");
            Storage::open(&url.parse().unwrap())
        };
        for refused in ["http://s3.example.com", "http://198.51.100.7:9000", "s3.example.com"] {
            let error = open(refused).unwrap_err().to_string();
            assert!(error.contains("endpoint") && !error.contains(refused), "{error}");
        }
        for taken in ["https://s3.example.com", "http://127.0.0.1:9000", "http://minio:9000"] {
            assert!(open(taken).is_ok(), "{taken}");
        }
    }
}
