//! Codes derived from `SECRET_KEY`, for links in mails and for signing access tokens. None of them
//! is stored.

use std::fmt;

use anyhow::ensure;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::secrets::{is_placeholder, is_varied};

/// The minimum number of characters of `SECRET_KEY`.
const SHORTEST: usize = 32;

/// The minimum number of different characters in it. 32 random hexadecimal characters have about 13
/// different ones.
const LEAST_VARIETY: usize = 8;

/// Makes and checks codes.
#[derive(Clone)]
pub struct Signer {
    root: Hmac<Sha256>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Returns a signer with a secret of 32 random characters or more.
    ///
    /// # Errors
    /// Returns an error if the secret is shorter, a repeated word, or one of an example.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    pub fn new(secret: &str) -> anyhow::Result<Self> {
        let is_random = is_varied(secret.as_bytes(), LEAST_VARIETY) && !is_placeholder(secret);
        ensure!(
            secret.trim().len() >= SHORTEST && is_random,
            "SECRET_KEY should have 32 random characters or more: openssl rand -base64 48"
        );
        Ok(Self { root: Hmac::new_from_slice(secret.as_bytes()).expect("a key of any length") })
    }

    /// Returns the key for one purpose. It reveals nothing about the keys for other purposes.
    #[must_use]
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        self.root.clone().chain_update(purpose.as_bytes()).finalize().into_bytes().into()
    }

    /// Returns a code that names `id` and cannot be guessed: 64 characters of base64url. It is the
    /// same each time.
    #[must_use]
    pub fn code(&self, purpose: &str, id: Uuid) -> String {
        let mac = self.mac(purpose, id).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), mac.as_slice()].concat())
    }

    /// Returns the id that a code names, if this signer made the code for that purpose.
    #[must_use]
    pub fn read(&self, purpose: &str, code: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(code).ok()?;
        let (id, mac) = bytes.split_at_checked(16)?;
        let id = Uuid::from_slice(id).ok()?;
        self.mac(purpose, id).verify_slice(mac).ok().map(|()| id)
    }

    fn mac(&self, purpose: &str, id: Uuid) -> Hmac<Sha256> {
        let key = self.key(purpose);
        Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length").chain_update(id.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_for_its_purpose_by_its_signer_only() {
        let (signer, id) = (Signer::new("one secret of 32 letters or more").unwrap(), Uuid::now_v7());
        let code = signer.code("verify_email", id);
        assert_eq!((code.len(), signer.read("verify_email", &code)), (64, Some(id)));
        assert_eq!(signer.read("reset_password", &code), None);
        assert_eq!(Signer::new("another secret of 32 letters or more").unwrap().read("verify_email", &code), None);
    }

    #[test]
    fn what_is_no_code_is_none() {
        let signer = Signer::new("one secret of 32 letters or more").unwrap();
        let code = signer.code("verify_email", Uuid::now_v7());
        for other in ["", "!", "AAAA", &code[1..], &code[..62], &format!("{code}AAAA")] {
            assert_eq!(signer.read("verify_email", other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_other_text_is_a_code(text in any::<String>(), at in 0..64_usize, bytes in any::<[u8; 16]>()) {
            let (signer, id) = (Signer::new("one secret of 32 letters or more").unwrap(), Uuid::from_bytes(bytes));
            let mut code = signer.code("verify_email", id).into_bytes();
            prop_assert_eq!(signer.read("verify_email", &text), None);
            code[at] = if code[at] == b'A' { b'B' } else { b'A' };
            prop_assert_eq!(signer.read("verify_email", std::str::from_utf8(&code).unwrap()), None);
        }
    }

    #[test]
    fn a_weak_secret_is_refused() {
        for weak in [
            "a".repeat(64),
            " ".repeat(40),
            format!("{}short", " ".repeat(40)),
            "abcabc".repeat(8),
            "change-me-change-me-please-change-me-now".to_owned(),
            "CHANGE_ME_to_48_random_characters_0123456789".to_owned(),
        ] {
            assert!(Signer::new(&weak).is_err(), "{weak}");
        }
    }

    #[test]
    fn a_short_secret_is_refused_without_being_repeated() {
        let error = Signer::new("short-secret").unwrap_err().to_string();
        assert!(error.contains("SECRET_KEY") && !error.contains("short-secret"), "{error}");
    }
}
