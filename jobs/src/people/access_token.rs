//! Access tokens: JWTs that name a session and are valid for 15 minutes.
//!
//! A token says who calls, never which permissions the caller has. Those are read from the database
//! at each request, so a changed role or a sign-out takes effect at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{SessionId, UserId},
    signer::Signer,
};

/// The lifetime of a token.
pub const LIFE: Duration = Duration::from_mins(15);

/// The tolerated difference between clocks, in seconds.
const LEEWAY_SECONDS: i64 = 30;

/// The audience (`aud`) of the tokens.
const AUDIENCE: &str = "linecook-api";

/// The claims of a token.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    /// The signed-in person.
    pub sub: UserId,
    /// The session.
    pub sid: SessionId,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Claims {
    /// Returns true if the token is valid at the time `now`.
    #[must_use]
    pub fn hold_at(&self, now: DateTime<Utc>) -> bool {
        let now = now.timestamp();
        self.nbf.saturating_sub(LEEWAY_SECONDS) <= now && now < self.exp.saturating_add(LEEWAY_SECONDS)
    }
}

/// Returns a signed token for a session, valid from `now`. `issuer` is the base address of the
/// installation.
///
/// # Panics
/// Never: the claims can always be serialized.
#[must_use]
pub fn issue(signer: &Signer, issuer: &str, user_id: UserId, session_id: SessionId, now: DateTime<Utc>) -> String {
    let now = now.timestamp();
    let claims = Claims {
        iss: issuer.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: user_id,
        sid: session_id,
        iat: now,
        nbf: now,
        exp: now + LIFE.as_secs().cast_signed(),
    };
    let key = EncodingKey::from_secret(&signer.key("access_token"));
    encode(&Header::new(Algorithm::HS256), &claims, &key).expect("plain claims")
}

/// Returns the claims of a token that this installation issued, or `None` for any other text.
///
/// The expiry is not checked here but by [`Claims::hold_at`], because the time comes from the
/// database.
#[must_use]
pub fn read(signer: &Signer, issuer: &str, token: &str) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let key = DecodingKey::from_secret(&signer.key("access_token"));
    decode::<Claims>(token, &key, &validation).ok().map(|token| token.claims)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::*;

    const HERE: &str = "https://linecook.example.com";

    fn signer() -> Signer {
        Signer::new("a secret of 32 letters or a few more").unwrap()
    }

    fn forged(header: &Header, changed: &[(&str, Option<Value>)], key: &[u8]) -> String {
        let mut claims = json!({ "iss": HERE, "aud": AUDIENCE, "sub": UserId::new(), "sid": SessionId::new(), "iat": 0, "nbf": 0,
            "exp": 900 });
        for (name, value) in changed {
            match value {
                Some(value) => claims[*name] = value.clone(),
                None => drop(claims.as_object_mut().unwrap().remove(*name)),
            }
        }
        encode(header, &claims, &EncodingKey::from_secret(key)).unwrap()
    }

    #[test]
    fn a_token_holds_for_fifteen_minutes_and_what_clocks_differ() {
        let (now, user, session) = (DateTime::UNIX_EPOCH, UserId::new(), SessionId::new());
        let claims = read(&signer(), HERE, &issue(&signer(), HERE, user, session, now)).unwrap();
        assert_eq!((claims.sub, claims.sid), (user, session));
        for (seconds, holds) in [(-31, false), (-30, true), (0, true), (929, true), (930, false)] {
            assert_eq!(claims.hold_at(now + TimeDelta::seconds(seconds)), holds, "{seconds}");
        }
    }

    #[test]
    fn times_at_the_ends_of_numbers_are_compared_without_overflow() {
        let key = signer().key("access_token");
        for (nbf, exp, holds) in
            [(0, i64::MAX, Some(true)), (i64::MAX, i64::MAX, Some(false)), (0, i64::MIN, None), (i64::MIN, 900, None)]
        {
            let changed = [("nbf", Some(json!(nbf))), ("exp", Some(json!(exp)))];
            let token = forged(&Header::new(Algorithm::HS256), &changed, &key);
            let held = read(&signer(), HERE, &token).map(|claims| claims.hold_at(DateTime::UNIX_EPOCH));
            assert_eq!(held, holds, "{nbf} {exp}");
        }
    }

    #[test]
    fn what_is_forged_or_lacks_a_claim_is_none() {
        let (key, plain) = (signer().key("access_token"), Header::new(Algorithm::HS256));
        assert!(read(&signer(), HERE, &forged(&plain, &[], &key)).is_some());
        for name in ["iss", "aud", "sub", "sid", "nbf", "exp"] {
            assert!(read(&signer(), HERE, &forged(&plain, &[(name, None)], &key)).is_none(), "without {name}");
        }
        for (name, value) in [("iss", "https://elsewhere.example.com"), ("aud", "others"), ("exp", "soon")] {
            assert!(read(&signer(), HERE, &forged(&plain, &[(name, Some(json!(value)))], &key)).is_none(), "{name}");
        }
        assert!(read(&signer(), HERE, &forged(&plain, &[], b"another key")).is_none());
        assert!(read(&signer(), HERE, &forged(&Header::new(Algorithm::HS384), &[], &key)).is_none());
        let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIwIn0.";
        assert!(read(&signer(), HERE, unsigned).is_none() && read(&signer(), HERE, "").is_none());
    }
}
