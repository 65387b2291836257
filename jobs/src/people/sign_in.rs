//! Signs people in with a password, and keeps them signed in.

mod attempt;
pub mod second_step;

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

pub(super) use self::attempt::Attempt;
use super::{
    Address, access_token,
    password::Verdict,
    sessions::{self, Exchange, NewSession},
    store::{self, UserRow},
    throttle::Throttle,
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx},
    ids::{SessionId, TenantId, UserId},
    mail::{self, Email},
    secrets::{SecretError, random_token},
    services::Services,
};

/// The reasons for which a person is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The address or the password is wrong. Which of them stays secret.
    #[error("the address or the password is wrong")]
    Wrong,
    /// The password is right, but the address is not verified. Another mail is sent.
    #[error("the address is not confirmed; the person has to open the link in the mail")]
    Unverified,
    /// There were too many attempts; the next one is allowed after this time.
    #[error("there were too many attempts; the next one is allowed in {} seconds", .0.as_secs())]
    TooMany(Duration),
    /// The code of the second factor is wrong, was used before, or its time is over.
    #[error("the code is wrong")]
    WrongCode,
    /// The sign-in waited too long for its code, or was finished.
    #[error("the sign-in does not wait any more")]
    Expired,
    /// The secret of the second factor cannot be read.
    #[error("the secret cannot be read")]
    Secret(#[from] SecretError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// The client that somebody signs in from.
#[derive(Debug, Clone, Default)]
pub struct ClientOrigin {
    /// The key by which attempts of this client are counted.
    pub counted_as: String,
    /// The key by which attempts of its whole network are counted.
    pub network: String,
    /// The code of an earlier sign-in, from [`super::known_client::issue`].
    pub known_as: Option<String>,
    /// The remote address, for the audit log.
    pub remote_address: Option<String>,
    /// The name that the browser or program gives itself.
    pub user_agent: Option<String>,
}

/// A person who has shown who they are.
#[derive(Debug)]
pub struct Proven {
    user: UserRow,
    by_code: bool,
}

impl Proven {
    /// Returns a person whom a provider has vouched for.
    #[must_use]
    pub fn by_provider(user: UserRow) -> Self {
        Self { user, by_code: false }
    }

    /// Returns the person.
    #[must_use]
    pub fn user(&self) -> &UserRow {
        &self.user
    }
}

/// The result of a sign-in that began.
#[derive(Debug)]
pub enum Begun<T> {
    /// The person is signed in.
    SignedIn(T),
    /// The person has a second factor. This text names the sign-in for [`second_step::check`].
    NeedsCode(String),
}

/// Checks an address and a password, and returns the person. Attempts are counted by account and by
/// client; a right password gives back what its attempt took.
///
/// # Errors
/// Returns [`SignInError`]. A failed attempt counts too.
pub async fn check(
    db: &Db,
    services: &Services,
    email: &str,
    password: SecretString,
    from: &ClientOrigin,
) -> Result<Proven, SignInError> {
    let address = Address::parse(email).ok();
    let canonical = address.as_ref().map(Address::canonical).unwrap_or_default();
    let attempt = Attempt::new(&services.signer, &canonical, from);
    attempt.count(db, SignInError::TooMany).await?;
    let mut tx = db.system().await?;
    let user = match &address {
        Some(address) => store::find_by_email(&mut tx, address).await?,
        None => None,
    };
    let registered = match &user {
        Some(user) if user.email_verified_at.is_none() => store::find_registration(&mut tx, user.id).await?,
        Some(_) | None => None,
    };
    tx.commit().await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let waiting = registered.as_ref().and_then(|(_, hash)| hash.clone());
    let Verdict::Right { rehashed } = services.passwords.verify(password, hash.or(waiting)).await else {
        let user_id = user.as_ref().map(|user| user.id.to_string());
        tracing::info!(user_id, client = from.remote_address, "a wrong password was refused");
        return Err(SignInError::Wrong);
    };
    let mut user = user.ok_or(SignInError::Wrong)?;
    let mut tx = db.system().await?;
    if let Some((link_id, _)) = registered {
        if Throttle::VERIFY_LETTER.take(&mut tx, &canonical).await?.is_none() {
            mail::enqueue(&mut tx, TenantId::SYSTEM, Email::VerifyEmail { link_id }).await?;
        }
        tx.commit().await?;
        return Err(SignInError::Unverified);
    }
    if let (Some(new), Some(old)) = (rehashed, &user.password_hash) {
        store::rehash(&mut tx, user.id, old, &new).await?;
        user.password_hash = Some(new);
    }
    attempt.forgive(&mut tx).await?;
    tx.commit().await?;
    Ok(Proven { user, by_code: false })
}

/// The tokens of a program that is signed in.
#[derive(Debug)]
pub struct Tokens {
    /// The access token, valid for [`access_token::LIFE`].
    pub access: String,
    /// The refresh token, good for one exchange.
    pub refresh: String,
}

/// Signs a program in, or begins to wait for a code. Needs the system scope.
///
/// # Errors
/// Returns [`SignInError::Wrong`] if another password was chosen since this one was checked.
pub async fn begin(
    tx: &mut Tx,
    services: &Services,
    issuer: &str,
    proven: &Proven,
    from: &ClientOrigin,
) -> Result<Begun<Tokens>, SignInError> {
    let user = &proven.user;
    require_password(tx, user).await?;
    if let Some(pending) = second_step::ask(tx, services, proven).await? {
        return Ok(Begun::NeedsCode(pending));
    }
    let session_id = sessions::insert(tx, &new_session(proven, None, from)).await?;
    record(tx, services, user, from, "program").await?;
    Ok(Begun::SignedIn(tokens(tx, services, issuer, (user.id, session_id), None).await?))
}

/// Signs a browser in and returns the value of its cookie, or begins to wait for a code. Needs the
/// system scope.
///
/// # Errors
/// As [`begin`].
pub async fn begin_in_browser(
    tx: &mut Tx,
    services: &Services,
    proven: &Proven,
    from: &ClientOrigin,
) -> Result<Begun<String>, SignInError> {
    require_password(tx, &proven.user).await?;
    if let Some(pending) = second_step::ask(tx, services, proven).await? {
        return Ok(Begun::NeedsCode(pending));
    }
    let cookie = random_token();
    sessions::insert(tx, &new_session(proven, Some(&cookie), from)).await?;
    record(tx, services, &proven.user, from, "browser").await?;
    Ok(Begun::SignedIn(cookie))
}

fn new_session<'a>(proven: &Proven, cookie: Option<&'a str>, from: &'a ClientOrigin) -> NewSession<'a> {
    NewSession { user_id: proven.user.id, cookie, from, has_second_factor: proven.by_code }
}

/// Rejects a sign-in whose password was replaced in the meantime: a new password ends all sessions
/// of the old one, also those that begin right now.
async fn require_password(tx: &mut Tx, user: &UserRow) -> Result<(), SignInError> {
    let is_same = store::has_password(tx, user.id, user.password_hash.as_deref()).await?;
    if is_same { Ok(()) } else { Err(SignInError::Wrong) }
}

async fn record(
    tx: &mut Tx,
    services: &Services,
    user: &UserRow,
    from: &ClientOrigin,
    into: &str,
) -> Result<(), sqlx::Error> {
    let actor = Actor::person(user.id.0, user.email.clone(), from.remote_address.clone());
    let entry = Entry {
        tenant_id: TenantId::SYSTEM,
        action: "user.sign_in".to_owned(),
        object_type: "user",
        object_id: user.id.to_string(),
        details: json!({ "into": into }),
    };
    audit::append(tx, &services.keyring, &actor, &[entry]).await
}

async fn tokens(
    tx: &mut Tx,
    services: &Services,
    issuer: &str,
    (user_id, session_id): (UserId, SessionId),
    parent_id: Option<Uuid>,
) -> Result<Tokens, sqlx::Error> {
    let refresh = sessions::insert_refresh_token(tx, session_id, parent_id).await?;
    let now = tx.now().await?;
    Ok(Tokens { access: access_token::issue(&services.signer, issuer, user_id, session_id, now), refresh })
}

/// Exchanges a refresh token for the next pair, or returns `None` if it is not good. A reused token
/// ends its session and is recorded in the audit log.
///
/// Needs the system scope. The caller commits whatever the result is.
pub async fn refresh(
    tx: &mut Tx,
    services: &Services,
    issuer: &str,
    token: &str,
    from: &ClientOrigin,
) -> Result<Option<Tokens>, sqlx::Error> {
    match sessions::exchange(tx, token).await? {
        Exchange::Good { session_id, user_id, token_id } => {
            tokens(tx, services, issuer, (user_id, session_id), Some(token_id)).await.map(Some)
        }
        Exchange::Invalid => Ok(None),
        Exchange::Stolen { user_id } => {
            let email = store::get(tx, user_id).await?.map_or_else(String::new, |user| user.email);
            let actor = Actor::person(user_id.0, email, from.remote_address.clone());
            let entry = Entry {
                tenant_id: TenantId::SYSTEM,
                action: "session.reuse".to_owned(),
                object_type: "user",
                object_id: user_id.to_string(),
                details: json!({ "why": "a refresh token came back after it was exchanged: the session was ended" }),
            };
            audit::append(tx, &services.keyring, &actor, &[entry]).await?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
