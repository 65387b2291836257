//! Hashes and checks passwords (argon2id), outside the threads that serve requests.

mod memory;
mod strength;

use std::{
    num::NonZero,
    sync::{Arc, LazyLock},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use self::memory::Memory;
pub use self::strength::WeakPassword;

/// The most passwords that a process hashes at once, however many processors it has.
const MOST_AT_ONCE: usize = 4;

/// The parameters for argon2id from OWASP's password storage cheat sheet: 19 MiB, two passes, one
/// lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash for accounts without a password, so that the comparison takes the same time.
static NOBODYS: LazyLock<PasswordHash> = LazyLock::new(|| hash_now(&Memory::new(MEMORY_KIB as usize), b"nobody's"));

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    free: Arc<Semaphore>,
    memory: Arc<Memory>,
}

/// The result of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right {
        /// A new hash of the same password, if the stored one was made in another way.
        rehashed: Option<String>,
    },
}

impl Default for Passwords {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(at_once())), memory: Arc::new(Memory::new(MEMORY_KIB as usize)) }
    }
}

impl Passwords {
    /// Returns the hash of a password that a person chooses, as a PHC string. `about` has facts
    /// about the person, such as the address and the names. A password made of these is weak.
    ///
    /// # Errors
    /// Returns [`WeakPassword`], which says the reason.
    ///
    /// # Panics
    /// If the process is out of memory or threads.
    pub async fn choose(&self, password: SecretString, about: &[&str]) -> Result<String, WeakPassword> {
        let about: Vec<String> = about.iter().map(|&words| words.to_owned()).collect();
        self.apart(move |memory| {
            let prepared = strength::prepare(password.expose_secret())?;
            strength::judge(&prepared, &about)?;
            Ok(hash_now(memory, prepared.as_bytes()).to_string())
        })
        .await
    }

    /// Compares a password with a hash. Takes the same time if there is no hash.
    ///
    /// # Panics
    /// As [`Passwords::choose`].
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Verdict {
        self.apart(move |memory| verify_now(memory, password.expose_secret(), hash.as_deref())).await
    }

    /// Runs work on its own thread. The work keeps its place until it ends, even if nobody waits
    /// for it any more.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce(&Memory) -> T + Send + 'static) -> T {
        let place = Arc::clone(&self.free).acquire_owned().await.expect("it is never closed");
        let memory = Arc::clone(&self.memory);
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(&memory);
            drop(place);
            result
        });
        worked.await.expect("hashing does not panic")
    }
}

/// The number of passwords that are hashed at once. Each takes a processor, so more would only slow
/// each other down.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_AT_ONCE)
}

fn current_params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("parameters that argon2 allows")
}

fn hash_now(memory: &Memory, password: &[u8]) -> PasswordHash {
    let (params, salt) = (current_params(), Salt::generate());
    let output = digest(memory, Algorithm::Argon2id, Version::V0x13, &params, password, &salt);
    PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).expect("parameters that a hash can name"),
        salt: Some(salt),
        hash: Some(output.expect("a short password and a salt of the usual length")),
    }
}

fn digest(
    memory: &Memory,
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    password: &[u8],
    salt: &Salt,
) -> Option<Output> {
    let mut buffer = [0; Output::MAX_LENGTH];
    let output = buffer.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
    let argon2 = Argon2::new(algorithm, version, params.clone());
    memory.lend(params.block_count(), |blocks| {
        argon2.hash_password_into_with_memory(password, salt, output, blocks).ok()
    })??;
    Output::new(output).ok()
}

fn verify_now(memory: &Memory, password: &str, hash: Option<&str>) -> Verdict {
    let known = hash.and_then(|hash| PasswordHash::new(hash).ok());
    let hash = known.as_ref().unwrap_or(&NOBODYS);
    // Older versions hashed the password as it was typed.
    let prepared = strength::prepare(password).unwrap_or_else(|_| password.to_owned());
    let as_prepared = matches(memory, prepared.as_bytes(), hash);
    let as_typed = !as_prepared && prepared != password && matches(memory, password.as_bytes(), hash);
    if known.is_none() || !(as_prepared || as_typed) {
        return Verdict::Wrong;
    }
    let is_current = as_prepared
        && (hash.algorithm, hash.version, &hash.params) == (NOBODYS.algorithm, NOBODYS.version, &NOBODYS.params);
    Verdict::Right { rehashed: (!is_current).then(|| hash_now(memory, prepared.as_bytes()).to_string()) }
}

/// Compares in constant time. A hash that names parameters beyond our limits matches nothing.
fn matches(memory: &Memory, password: &[u8], hash: &PasswordHash) -> bool {
    let Ok(algorithm) = Algorithm::try_from(hash.algorithm.as_str()) else {
        return false;
    };
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from);
    let (Ok(version), Ok(params), Some(salt)) = (version, Params::try_from(hash), &hash.salt) else {
        return false;
    };
    let computed = digest(memory, algorithm, version, &params, password, salt);
    computed.is_some() && computed == hash.hash
}

#[cfg(test)]
mod tests;
