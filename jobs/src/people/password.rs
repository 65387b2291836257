//! Passwords: hashed with argon2id, outside the threads that serve requests.

use std::sync::{Arc, LazyLock};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

/// The minimum number of characters of a password.
pub const SHORTEST: usize = 10;

/// The maximum number of bytes of a password.
pub const LONGEST: usize = 200;

/// The number of passwords that one process hashes at a time: each takes 19 MiB and a processor.
const AT_ONCE: usize = 4;

/// 19 MiB, two passes, one lane: the recommendation of OWASP's password storage cheat sheet for
/// argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash that is compared if an account has no password, so that the check takes the same time.
static NOBODYS: LazyLock<String> = LazyLock::new(|| hash_now(b"nobody's"));

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    free: Arc<Semaphore>,
}

/// The result of comparing a password with a hash.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right {
        /// The same password hashed with today's parameters, if the stored hash has older ones.
        rehashed: Option<String>,
    },
}

impl Default for Passwords {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// Returns the hash of a password, as a PHC string.
    ///
    /// # Panics
    /// If the process is out of memory or threads.
    pub async fn hash(&self, password: SecretString) -> String {
        self.apart(move || hash_now(password.expose_secret().as_bytes())).await
    }

    /// Compares a password with a hash. It takes the same time without a hash, so that the
    /// time does not reveal accounts.
    ///
    /// # Panics
    /// As [`Passwords::hash`].
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Verdict {
        self.apart(move || verify_now(password.expose_secret().as_bytes(), hash.as_deref())).await
    }

    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _place = self.free.acquire().await.expect("it is never closed");
        tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("parameters that argon2 allows");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &[u8]) -> String {
    argon2().hash_password(password).expect("a short password and a source of randomness").to_string()
}

fn verify_now(password: &[u8], hash: Option<&str>) -> Verdict {
    let known = hash.and_then(|hash| PasswordHash::new(hash).ok());
    let is_known = known.is_some();
    let hash = known.unwrap_or_else(|| PasswordHash::new(&NOBODYS).expect("a hash of ours"));
    if argon2().verify_password(password, &hash).is_err() || !is_known {
        return Verdict::Wrong;
    }
    let nobodys = PasswordHash::new(&NOBODYS).expect("a hash of ours");
    let is_current =
        (hash.algorithm, hash.version, &hash.params) == (nobodys.algorithm, nobodys.version, &nobodys.params);
    Verdict::Right { rehashed: (!is_current).then(|| hash_now(password)) }
}

/// Returns the reason for which a password is rejected, or `None` if it is acceptable.
#[must_use]
pub fn objection(password: &SecretString, email: &str) -> Option<String> {
    let password = password.expose_secret();
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Some(format!("password should have {SHORTEST} characters or more, and {LONGEST} bytes at most."));
    }
    let first = password.chars().next();
    if password.chars().all(|c| Some(c) == first) || password.eq_ignore_ascii_case(email) {
        return Some("password should be neither the address nor one character repeated.".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_is_right() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".into()).await;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse".into()).await, "salted");
        let verify = async |password: &str, hash: Option<String>| passwords.verify(password.into(), hash).await;
        assert_eq!(verify("correct horse", Some(hash.clone())).await, Verdict::Right { rehashed: None });
        assert_eq!(verify("correct horsE", Some(hash)).await, Verdict::Wrong);
        assert_eq!(verify("nobody's", None).await, Verdict::Wrong, "what nobody has is right for nobody");
        assert_eq!(verify("nobody's", Some("nonsense".to_owned())).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn an_older_hash_is_made_anew() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(1024, 1, 1, None).unwrap());
        let old = weak.hash_password(b"correct horse").unwrap().to_string();
        let passwords = Passwords::default();
        let Verdict::Right { rehashed: Some(new) } = passwords.verify("correct horse".into(), Some(old)).await else {
            panic!("it was not made anew");
        };
        let verdict = passwords.verify("correct horse".into(), Some(new)).await;
        assert_eq!(verdict, Verdict::Right { rehashed: None });
    }

    #[test]
    fn weak_passwords_are_refused() {
        let email = "somebody@example.com";
        for weak in ["", "short", "aaaaaaaaaaaa", "Somebody@Example.com", &"x1".repeat(101)] {
            assert!(objection(&weak.into(), email).is_some(), "{weak}");
        }
        assert_eq!(objection(&"correct horse".into(), email), None);
        assert_eq!(objection(&"пароль-длинный".into(), email), None);
    }
}
