//! Codes of authenticator apps.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use totp_rs::{Builder, Secret, Totp};

use crate::{
    ids::{TenantId, UserId},
    secrets::SecretLocation,
};

/// The name that apps show beside the person's address.
const ISSUER: &str = "Linecook";

/// The length of a time step in seconds. Source: RFC 6238, section 5.2.
const STEP_SECONDS: u64 = 30;

/// The number of digits. Apps ignore other lengths.
const DIGITS: usize = 6;

/// A code that an app may have shown: six digits.
pub(super) struct Code(String);

impl Code {
    /// Reads a code as people type it, such as `123 456`.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        (digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(Self(digits))
    }
}

/// Returns a new secret of 160 bits, in base32.
pub(super) fn new_secret() -> SecretString {
    let bytes: [u8; 20] = rand::random();
    Secret::new_stack(bytes).to_base32().into()
}

/// Returns the address that apps read from a QR code: `otpauth://totp/...`.
pub(super) fn url(secret: &SecretString, email: &str) -> Option<SecretString> {
    let named = builder(secret)?.with_account_name(email).with_issuer(Some(ISSUER));
    named.build().ok()?.to_url().ok().map(Into::into)
}

/// Returns the time step of a code that is right at `now`, or one step before or after.
pub(super) fn step_of(secret: &SecretString, code: &Code, now: DateTime<Utc>) -> Option<i64> {
    let seconds = u64::try_from(now.timestamp()).ok()?;
    let step = totp(secret)?.check(&code.0, seconds)?;
    i64::try_from(step).ok()
}

fn totp(secret: &SecretString) -> Option<Totp> {
    builder(secret)?.build().ok()
}

fn builder(secret: &SecretString) -> Option<Builder> {
    let secret = Secret::try_from_base32(secret.expose_secret()).ok()?;
    Some(Builder::new().with_secret(secret).with_digits(6).with_skew(1).with_step_duration(STEP_SECONDS))
}

/// Returns the code that an app shows at `now`.
///
/// # Panics
/// If the secret is none.
#[cfg(any(test, feature = "testing"))]
#[must_use]
pub fn shown_at(secret: &str, now: DateTime<Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).expect("after 1970");
    totp(&SecretString::from(secret)).expect("a secret").generate(seconds).to_string()
}

/// The place of a person's secret.
pub(super) fn place(user_id: UserId) -> SecretLocation {
    SecretLocation { table: "second_factors", column: "secret", tenant_id: TenantId::SYSTEM, row_id: user_id.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the test vectors of RFC 6238, appendix B.
    const VECTOR: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn step(code: &str, seconds: i64) -> Option<i64> {
        let code = Code::parse(code).expect("a code");
        step_of(&VECTOR.into(), &code, DateTime::from_timestamp(seconds, 0).unwrap())
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(step(code, seconds), Some(seconds / 30), "{code}");
            assert_eq!(shown_at(VECTOR, DateTime::from_timestamp(seconds, 0).unwrap()), code);
        }
    }

    #[test]
    fn a_code_is_right_one_step_before_and_after_and_no_longer() {
        for (seconds, expected) in [(59, Some(1)), (89, Some(1)), (29, Some(1)), (90, None), (119, None)] {
            assert_eq!(step("287082", seconds), expected, "{seconds}");
        }
        assert_eq!(step("287083", 59), None);
    }

    #[test]
    fn a_code_is_six_digits_however_they_are_spaced() {
        assert!(Code::parse(" 287 082\n").is_some_and(|code| code.0 == "287082"));
        for wrong in ["", "28708", "2870820", "28708a", "-87082", "२८७०८२"] {
            assert!(Code::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn apps_read_who_it_is_from_the_address() {
        let url = url(&VECTOR.into(), "ada@example.com").unwrap();
        let url = url.expose_secret();
        assert!(url.starts_with("otpauth://totp/") && url.contains("issuer=Linecook"), "{url}");
        assert!(url.contains("ada%40example.com") && url.contains(&format!("secret={VECTOR}")), "{url}");
        assert_ne!(new_secret().expose_secret(), new_secret().expose_secret());
        assert_eq!(new_secret().expose_secret().len(), 32);
    }
}
