//! Object storage: a folder on one machine, or S3.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, local::LocalFileSystem, path::Path};
use url::Url;

use crate::engine::{Cause, JobError};

/// Where bytes are kept, by key.
#[derive(Debug, Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
}

/// The storage did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is nothing under that key.
    #[error("nothing is stored under that key")]
    Missing,
    /// It failed.
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
                Self::Fail(Cause::new("permanent", "The picture's file is gone: upload it again.", error))
            }
            StorageError::Failed(_) => {
                Self::Retry(Cause::new("storage", "The picture storage did not answer; it is tried again.", error))
            }
        }
    }
}

impl Storage {
    /// Opens `file:///folder` (made if missing) or `s3://bucket?region=...&endpoint=...`, the latter with
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    ///
    /// # Errors
    /// Another scheme, or a folder that cannot be made.
    pub fn open(url: &Url) -> anyhow::Result<Self> {
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => {
                let folder = url.to_file_path().ok().context("STORAGE_URL should look like file:///folder")?;
                std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
                Arc::new(LocalFileSystem::new_with_prefix(folder)?)
            }
            "s3" => {
                let mut builder = AmazonS3Builder::from_env()
                    .with_bucket_name(url.host_str().context("STORAGE_URL names no bucket")?);
                for (key, value) in url.query_pairs() {
                    builder = match key.as_ref() {
                        "region" => builder.with_region(value),
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

    /// Stores bytes, over what was there.
    ///
    /// # Errors
    /// [`StorageError::Failed`].
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.store.put(&Path::from(key), bytes.into()).await?;
        Ok(())
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn get(&self, key: &str) -> Result<Bytes, StorageError> {
        Ok(self.store.get(&Path::from(key)).await?.bytes().await?)
    }
}
