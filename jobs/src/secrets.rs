//! Secrets at rest: AES-256-GCM with a keyring, each ciphertext bound to the place it is stored in.

use std::{fmt, sync::Arc};

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    engine::{Cause, JobError},
    ids::TenantId,
};

/// Where a secret is stored. It is authenticated with the ciphertext: one that was moved elsewhere does not decrypt.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The row's id.
    pub row_id: Uuid,
}

/// The keys: the first encrypts, all decrypt.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[(String, Aes256Gcm)]>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

/// A stored secret that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It does not look like `v1.<key id>.<nonce>.<ciphertext>`.
    #[error("a stored secret is malformed")]
    Malformed,
    /// Its key is not in the keyring.
    #[error("key {0:?} is not in ENCRYPTION_KEYS")]
    UnknownKey(String),
    /// It was changed or moved, or the key has the same id but other bytes.
    #[error("a stored secret does not decrypt at its place")]
    Refused,
}

impl From<SecretError> for JobError {
    fn from(error: SecretError) -> Self {
        Self::Retry(Cause::new(
            "config",
            "A stored secret cannot be read; an operator has to look at ENCRYPTION_KEYS.",
            error,
        ))
    }
}

impl Keyring {
    /// Reads `id:base64,id:base64`; ids are of letters, digits, `-` and `_`, keys of 32 bytes.
    ///
    /// # Errors
    /// What is malformed; the message does not repeat a key.
    pub fn parse(keys: &str) -> anyhow::Result<Self> {
        let keys = keys
            .split(',')
            .enumerate()
            .map(|(index, entry)| parse_key(entry).with_context(|| format!("entry {} of the keyring", index + 1)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { keys: keys.into() })
    }

    /// Encrypts for a place, with the first key: `v1.<key id>.<nonce>.<ciphertext>`.
    ///
    /// # Panics
    /// If the secret is longer than 64 GiB.
    #[must_use]
    pub fn encrypt(&self, place: Place, secret: &SecretString) -> String {
        let (id, cipher) = &self.keys[0];
        let nonce: [u8; 12] = rand::random();
        let aad = associated_data(place, id);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: aad.as_bytes() };
        let ciphertext = cipher.encrypt(&Nonce::from(nonce), payload).expect("secrets are short");
        format!("v1.{id}.{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(ciphertext))
    }

    /// Decrypts what is stored at a place.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn decrypt(&self, place: Place, envelope: &str) -> Result<SecretString, SecretError> {
        let parts: Vec<&str> = envelope.split('.').collect();
        let &["v1", id, nonce, ciphertext] = parts.as_slice() else {
            return Err(SecretError::Malformed);
        };
        let (_, cipher) =
            self.keys.iter().find(|(key_id, _)| key_id == id).ok_or_else(|| SecretError::UnknownKey(id.to_owned()))?;
        let nonce = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| SecretError::Malformed)?;
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| SecretError::Malformed)?;
        let ciphertext = URL_SAFE_NO_PAD.decode(ciphertext).map_err(|_| SecretError::Malformed)?;
        let aad = associated_data(place, id);
        let plain = cipher
            .decrypt(&Nonce::from(nonce), Payload { msg: &ciphertext, aad: aad.as_bytes() })
            .map_err(|_| SecretError::Refused)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| SecretError::Refused)
    }
}

fn parse_key(entry: &str) -> anyhow::Result<(String, Aes256Gcm)> {
    let Some((id, key)) = entry.trim().split_once(':') else {
        bail!("should look like id:base64");
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(!id.is_empty() && id.chars().all(is_plain), "the id should be of letters, digits, - and _");
    let key = STANDARD.decode(key).ok().context("the key should be base64")?;
    let cipher = Aes256Gcm::new_from_slice(&key).ok().context("the key should be of 32 bytes")?;
    Ok((id.to_owned(), cipher))
}

fn associated_data(place: Place, key_id: &str) -> String {
    format!("{}\0{}\0{}\0{}\0{key_id}", place.table, place.column, place.tenant_id, place.row_id)
}

/// SHA-256 of a random secret of ours, which is what is stored of it.
#[must_use]
pub fn fingerprint(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// A new secret of 256 random bits, in base64url.
#[must_use]
pub fn random_token() -> String {
    let bytes: [u8; 32] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(ids: &[&str]) -> Keyring {
        let keys: Vec<String> =
            ids.iter().map(|id| format!("{id}:{}", STANDARD.encode([id.as_bytes()[0]; 32]))).collect();
        Keyring::parse(&keys.join(",")).unwrap()
    }

    fn place() -> Place {
        Place { table: "oauth_tokens", column: "access_token", tenant_id: TenantId::new(), row_id: Uuid::now_v7() }
    }

    #[test]
    fn a_secret_comes_back_at_its_place_only() {
        let (keys, here) = (ring(&["a"]), place());
        let envelope = keys.encrypt(here, &SecretString::from("EAAB-token"));
        assert!(!envelope.contains("EAAB"));
        assert_eq!(keys.decrypt(here, &envelope).unwrap().expose_secret(), "EAAB-token");
        for elsewhere in [
            Place { row_id: Uuid::now_v7(), ..here },
            Place { tenant_id: TenantId::new(), ..here },
            Place { column: "refresh_token", ..here },
            Place { table: "api_keys", ..here },
        ] {
            assert!(matches!(keys.decrypt(elsewhere, &envelope), Err(SecretError::Refused)));
        }
    }

    #[test]
    fn an_older_key_still_decrypts() {
        let here = place();
        let envelope = ring(&["old"]).encrypt(here, &SecretString::from("x"));
        assert!(ring(&["new", "old"]).decrypt(here, &envelope).is_ok());
        assert!(matches!(ring(&["new"]).decrypt(here, &envelope), Err(SecretError::UnknownKey(id)) if id == "old"));
    }

    #[test]
    fn malformed_keys_are_refused_without_being_repeated() {
        for keys in ["", "a", "a:", "a:c2hvcnQ=", "a b:AAAA", ":AAAA"] {
            let error = format!("{:#}", Keyring::parse(keys).unwrap_err());
            assert!(error.starts_with("entry 1 of the keyring"), "{error}");
            assert!(!error.contains("c2hvcnQ"), "{error}");
        }
    }
}
