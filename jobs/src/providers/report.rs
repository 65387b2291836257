//! Reports that a person removed our app at a provider, signed with the app's secret.
//!
//! Source: Facebook Login, "Data Deletion Request Callback", "Parsing the signed request".

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::Sha256;

/// The longest report, several times as long as any that is expected.
const LONGEST: usize = 4_096;

/// The longest id of a person.
const LONGEST_ID: usize = 64;

/// The only algorithm.
const ALGORITHM: &str = "HMAC-SHA256";

/// The time within which a report is accepted. Providers repeat reports that got no response.
const AGE: TimeDelta = TimeDelta::hours(24);

/// The time by which the provider's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// A report that a person removed our app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The provider's id of the person.
    pub subject_id: String,
    /// The time at which the person did that.
    pub issued_at: DateTime<Utc>,
}

/// The reasons for which a report is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No provider that is configured sends such reports.
    #[error("no provider of that name sends reports here")]
    UnknownSender,
    /// The text is no signed request.
    #[error("the signed request has not the form <signature>.<payload>, each in base64url")]
    Malformed,
    /// The signature is not one of our app's.
    #[error("the signature of the request is wrong")]
    Signature,
    /// The payload names another algorithm.
    #[error("the signed request names another algorithm than {ALGORITHM}")]
    Algorithm,
    /// The report is too old, or from the future.
    #[error("the signed request is too old, or was issued in the future")]
    Age,
}

/// Reads the reports about one app.
#[derive(Debug, Clone)]
pub struct Reports {
    /// The name of the sender in the address that it calls.
    pub sender: &'static str,
    /// The app's secret.
    pub secret: SecretString,
}

#[derive(Deserialize)]
struct Payload {
    user_id: String,
    algorithm: String,
    issued_at: i64,
}

impl Reports {
    /// Reads a report: `<signature>.<payload>`, both in base64url. The signature is that of the
    /// payload's text, and is compared in constant time.
    pub(super) fn read(&self, signed_request: &str, now: DateTime<Utc>) -> Result<Report, ReportError> {
        if signed_request.len() > LONGEST {
            return Err(ReportError::Malformed);
        }
        let (signature, payload) = signed_request.split_once('.').ok_or(ReportError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| ReportError::Malformed)?;
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| ReportError::Malformed)?;
        let secret = self.secret.expose_secret().as_bytes();
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.chain_update(payload).verify_slice(&signature).map_err(|_| ReportError::Signature)?;
        let Payload { user_id, algorithm, issued_at } =
            serde_json::from_slice(&json).map_err(|_| ReportError::Malformed)?;
        if algorithm != ALGORITHM {
            return Err(ReportError::Algorithm);
        }
        if user_id.is_empty() || user_id.len() > LONGEST_ID || user_id.contains('\0') {
            return Err(ReportError::Malformed);
        }
        let issued_at = DateTime::from_timestamp(issued_at, 0).ok_or(ReportError::Age)?;
        if issued_at < now - AGE || issued_at > now + AHEAD {
            return Err(ReportError::Age);
        }
        Ok(Report { subject_id: user_id, issued_at })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The vector of facebook-rs, whose secret is `key`.
    const VECTOR: &str = "Mf_s6nTb38UYqioBmPqu0Ewm9souPZB9I2fIGwV729U.\
                          eyJ1c2VyX2lkIjoiMCIsImFsZ29yaXRobSI6IkhNQUMtU0hBMjU2IiwiaXNzdWVkX2F0IjoxNjI0MjQ0MTU2fQ";

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    const ISSUED: i64 = 1_624_244_156;

    fn read(signed_request: &str) -> Result<Report, ReportError> {
        Reports { sender: "test", secret: "key".into() }.read(signed_request, time(ISSUED))
    }

    fn signed_text(secret: &str, payload: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&payload);
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn signed(payload: &Value) -> String {
        signed_text("key", &payload.to_string())
    }

    #[test]
    fn a_signed_request_is_read() {
        let report = Report { subject_id: "0".to_owned(), issued_at: time(ISSUED) };
        assert_eq!(read(VECTOR), Ok(report.clone()));
        let more = json!({ "user_id": "0", "algorithm": "HMAC-SHA256", "issued_at": ISSUED, "expires": ISSUED + 60 });
        assert_eq!(read(&signed(&more)), Ok(report));
    }

    #[test]
    fn what_the_app_did_not_sign_is_refused() {
        let (signature, payload) = VECTOR.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(r#"{"user_id":"1","algorithm":"HMAC-SHA256","issued_at":1624244156}"#);
        let flipped = signature.replacen('M', "N", 1);
        for signed_request in [
            format!("{signature}.{other}"),
            format!("{flipped}.{payload}"),
            ".".to_owned(),
            format!(".{payload}"),
            format!("{}.{payload}", &signature[..20]),
            format!("{signature}AAAA.{payload}"),
            format!("{payload}.{payload}"),
            signed_text("another key", r#"{"user_id":"0","algorithm":"HMAC-SHA256","issued_at":1624244156}"#),
            signed_text("", r#"{"user_id":"0","algorithm":"HMAC-SHA256","issued_at":1624244156}"#),
        ] {
            assert_eq!(read(&signed_request), Err(ReportError::Signature), "{signed_request}");
        }
    }

    #[test]
    fn what_is_no_signed_request_is_refused() {
        let (signature, payload) = VECTOR.split_once('.').unwrap();
        let valid = json!({ "user_id": "0", "algorithm": "HMAC-SHA256", "issued_at": ISSUED });
        let with = |name: &str, value: Value| {
            let mut payload = valid.clone();
            payload[name] = value;
            signed(&payload)
        };
        for signed_request in [
            String::new(),
            payload.to_owned(),
            format!("{signature}={}", ".eyJ9"),
            format!("{VECTOR}=="),
            format!("{VECTOR}.{payload}"),
            VECTOR.replace('_', "/"),
            format!("{VECTOR} "),
            "a".repeat(LONGEST + 1),
            signed_text("key", "no json"),
            signed_text("key", "[]"),
            signed_text("key", "{}"),
            with("user_id", json!(5)),
            with("user_id", json!("")),
            with("user_id", json!("\0")),
            with("user_id", json!("5".repeat(LONGEST_ID + 1))),
            with("issued_at", json!("now")),
        ] {
            assert_eq!(read(&signed_request), Err(ReportError::Malformed), "{signed_request}");
        }
        for algorithm in ["none", "hmac-sha256", "HMAC-SHA1", ""] {
            assert_eq!(read(&with("algorithm", json!(algorithm))), Err(ReportError::Algorithm), "{algorithm}");
        }
        for issued_at in [0, -1, i64::MAX, ISSUED - 86_401, ISSUED + 301] {
            assert_eq!(read(&with("issued_at", json!(issued_at))), Err(ReportError::Age), "{issued_at}");
        }
    }
}
