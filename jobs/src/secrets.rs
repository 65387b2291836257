//! Secrets at rest: AES-256-GCM with a keyring. Each ciphertext is bound to the place where it is
//! stored.
//!
//! The same keys, with one derived for each purpose, sign data that nobody else may write.

use std::{collections::BTreeSet, fmt, sync::Arc};

use aes_gcm::{
    Aes256Gcm, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    engine::{Cause, CauseClass, JobError},
    ids::TenantId,
};

/// The place where a secret is stored. The place is authenticated with the ciphertext, so a
/// ciphertext that was moved elsewhere does not decrypt.
#[derive(Debug, Clone, Copy)]
pub struct SecretLocation {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The row's id.
    pub row_id: Uuid,
}

/// The keys. The first one encrypts and signs; all of them decrypt and verify.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[Key]>,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
    /// The root from which signing keys are derived.
    root: Hmac<Sha256>,
}

/// A message authentication code: only a holder of the key can make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac {
    /// The id of the key.
    pub key_id: String,
    /// The HMAC-SHA256 of the message.
    pub bytes: [u8; 32],
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

/// The reasons for which a stored secret cannot be read, or a signature is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text has not the form `v1.<key id>.<nonce>.<ciphertext>`.
    #[error("a stored secret is malformed")]
    Malformed,
    /// Its key is not in the keyring.
    #[error("key {0:?} is not in ENCRYPTION_KEYS: add it again")]
    UnknownKey(String),
    /// The text was changed or moved, or the key with this id has other bytes.
    #[error("a stored secret does not decrypt: it was changed, moved, or its key was replaced")]
    Refused,
}

impl From<SecretError> for JobError {
    fn from(error: SecretError) -> Self {
        Self::Retry(Cause::new(
            CauseClass::Config,
            "A stored secret cannot be read; an operator has to look at ENCRYPTION_KEYS.",
            error,
        ))
    }
}

impl Keyring {
    /// Reads `id:base64,id:base64`. Ids consist of letters, digits, `-` and `_`; keys have 32
    /// bytes.
    ///
    /// # Errors
    /// Names the malformed part. The message does not repeat a key.
    pub fn parse(keys: &str) -> anyhow::Result<Self> {
        let keys = keys
            .split(',')
            .enumerate()
            .map(|(index, entry)| parse_key(entry).with_context(|| format!("entry {} of the keyring", index + 1)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (index, key) in keys.iter().enumerate() {
            let before = &keys[..index];
            ensure!(before.iter().all(|other| other.id != key.id), "two keys of the keyring have the id {:?}", key.id);
            let twin = before.iter().find(|other| other.is_same_as(key));
            ensure!(twin.is_none(), "one key of the keyring has two ids, {:?} among them", key.id);
        }
        Ok(Self { keys: keys.into() })
    }

    /// Returns true if one of the keys is that text, in base64 or as it is.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        let decoded = STANDARD.decode(text.rsplit(':').next().unwrap_or_default()).unwrap_or_default();
        [decoded.as_slice(), text.as_bytes()].into_iter().any(|bytes| {
            Hmac::<Sha256>::new_from_slice(bytes)
                .is_ok_and(|root| self.keys.iter().any(|key| key.sample() == sample(&root)))
        })
    }

    /// Returns the id of the key that encrypts.
    #[must_use]
    pub fn first_id(&self) -> &str {
        &self.keys[0].id
    }

    /// Encrypts a secret for a place, with the first key: `v1.<key id>.<nonce>.<ciphertext>`.
    ///
    /// # Panics
    /// If the secret is longer than 64 GiB.
    #[must_use]
    pub fn encrypt(&self, place: SecretLocation, secret: &SecretString) -> String {
        let Key { id, cipher, .. } = &self.keys[0];
        let nonce: [u8; 12] = rand::random();
        let aad = associated_data(place, id);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: aad.as_bytes() };
        let ciphertext = cipher.encrypt(&Nonce::from(nonce), payload).expect("secrets are short");
        format!("v1.{id}.{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(ciphertext))
    }

    /// Decrypts the secret that is stored at a place.
    pub fn decrypt(&self, place: SecretLocation, envelope: &str) -> Result<SecretString, SecretError> {
        let parts: Vec<&str> = envelope.split('.').collect();
        let &["v1", id, nonce, ciphertext] = parts.as_slice() else {
            return Err(SecretError::Malformed);
        };
        let Key { cipher, .. } = self.key(id)?;
        let nonce = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| SecretError::Malformed)?;
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| SecretError::Malformed)?;
        let ciphertext = URL_SAFE_NO_PAD.decode(ciphertext).map_err(|_| SecretError::Malformed)?;
        let aad = associated_data(place, id);
        let plain = cipher
            .decrypt(&Nonce::from(nonce), Payload { msg: &ciphertext, aad: aad.as_bytes() })
            .map_err(|_| SecretError::Refused)?;
        String::from_utf8(plain).map(SecretString::from).map_err(|_| SecretError::Refused)
    }

    /// Signs a message for a purpose, with the first key.
    #[must_use]
    pub fn mac(&self, purpose: &str, message: &[u8]) -> Mac {
        let key = &self.keys[0];
        Mac { key_id: key.id.clone(), bytes: key.signer(purpose).chain_update(message).finalize().into_bytes().into() }
    }

    /// Verifies that a key signed this message for this purpose, in constant time.
    ///
    /// # Errors
    /// Returns [`SecretError::UnknownKey`] if the key is not in the keyring, or
    /// [`SecretError::Refused`] if the signature is wrong.
    pub fn verify(&self, purpose: &str, message: &[u8], key_id: &str, mac: &[u8]) -> Result<(), SecretError> {
        let signer = self.key(key_id)?.signer(purpose);
        signer.chain_update(message).verify_slice(mac).map_err(|_| SecretError::Refused)
    }

    fn key(&self, id: &str) -> Result<&Key, SecretError> {
        self.keys.iter().find(|key| key.id == id).ok_or_else(|| SecretError::UnknownKey(id.to_owned()))
    }
}

impl Key {
    fn is_same_as(&self, other: &Self) -> bool {
        self.sample() == other.sample()
    }

    /// Bytes that only the same key gives.
    fn sample(&self) -> [u8; 32] {
        sample(&self.root)
    }

    /// Returns the MAC of one purpose, which has already read the key's id as a prefix of the
    /// message.
    fn signer(&self, purpose: &str) -> Hmac<Sha256> {
        let derived = self.root.clone().chain_update(purpose.as_bytes()).finalize().into_bytes();
        let signer = Hmac::<Sha256>::new_from_slice(&derived).expect("a key of any length");
        signer.chain_update(self.id.as_bytes()).chain_update([0])
    }
}

fn sample(root: &Hmac<Sha256>) -> [u8; 32] {
    root.clone().chain_update(b"sample").finalize().into_bytes().into()
}

fn parse_key(entry: &str) -> anyhow::Result<Key> {
    let Some((id, key)) = entry.trim().split_once(':') else {
        bail!("should look like id:base64");
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(!id.is_empty() && id.chars().all(is_plain), "the id should be of letters, digits, - and _");
    let key = STANDARD.decode(key).ok().context("the key should be base64")?;
    let cipher = Aes256Gcm::new_from_slice(&key).ok().context("the key should be of 32 bytes")?;
    ensure!(is_varied(&key, LEAST_VARIETY), "the key is not random: echo \"k1:$(openssl rand -base64 32)\" makes one");
    let root = Hmac::new_from_slice(&key).expect("a key of any length");
    Ok(Key { id: id.to_owned(), cipher, root })
}

/// The least number of different bytes in a key. Of 32 random bytes, about 30 differ.
const LEAST_VARIETY: usize = 16;

/// Returns true if so many of the bytes differ: zeros and repeated words do not.
pub(crate) fn is_varied(bytes: &[u8], least: usize) -> bool {
    bytes.iter().collect::<BTreeSet<_>>().len() >= least
}

/// Returns true for what is written into examples of settings to be replaced.
pub(crate) fn is_placeholder(secret: &str) -> bool {
    let plain: String = secret.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["changeme", "replaceme", "yoursecret", "placeholder"].iter().any(|word| plain.contains(word))
}

fn associated_data(place: SecretLocation, key_id: &str) -> String {
    format!("{}\0{}\0{}\0{}\0{key_id}", place.table, place.column, place.tenant_id, place.row_id)
}

/// Returns the SHA-256 hash of a random secret of ours. Only the hash is stored.
#[must_use]
pub fn fingerprint(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// Returns a new secret of 256 random bits, in base64url.
#[must_use]
pub fn random_token() -> String {
    let bytes: [u8; 32] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
