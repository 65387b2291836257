//! Errors of sending mail, and their meaning for the job.

use std::{error::Error as StdError, fmt, io};

use lettre::transport::smtp;

use crate::engine::{Cause, CauseClass, JobError};

/// The stage that the conversation with the server had reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connecting, and the server's greeting.
    Connect,
    /// Starting TLS.
    Encrypt,
    /// Signing in.
    SignIn,
    /// Naming the sender.
    Sender,
    /// Naming the recipient.
    Recipient,
    /// Sending the content. The server may have it.
    Content,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Encrypt => "starting TLS",
            Self::SignIn => "signing in",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Content => "sending the email",
        })
    }
}

/// The reasons for which an email was not sent.
///
/// They hold neither addresses nor content: the server's words are left out once it knows those.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// No mail server is configured.
    #[error("SMTP_URL is not set")]
    NotConfigured,
    /// The recipient's address, or a header with it, is malformed.
    #[error("the recipient's address is malformed")]
    BadAddress,
    /// The server does not match `SMTP_URL`: no encryption, an untrusted certificate, or no way to
    /// sign in.
    #[error("while {0}: {1}")]
    Unfit(Stage, String),
    /// The connection broke, or the server took too long.
    #[error("while {0}: {1}")]
    Broken(Stage, String),
    /// The server refused, with a code. Its words are kept only if they cannot hold an address or
    /// content.
    #[error("while {stage}, the mail server refused with {code} {words}")]
    Refused {
        /// The stage at which it refused.
        stage: Stage,
        /// The reply's three digits.
        code: u16,
        /// The enhanced status code (RFC 3463), or the whole reply of the server.
        words: String,
    },
}

impl MailError {
    /// Returns the error for a failure at a stage.
    pub(super) fn of(stage: Stage, error: &smtp::Error) -> Self {
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        if let Some(code) = error.status() {
            let code = code.to_string().parse().unwrap_or(0);
            return Self::Refused { stage, code, words: keepable(stage, &source) };
        }
        if error.is_client() {
            return Self::Unfit(stage, source);
        }
        if error.is_response() {
            // A reply that cannot be parsed may contain anything.
            return Self::Broken(stage, "the server broke off, or its reply was not SMTP".to_owned());
        }
        if is_untrusted(error) { Self::Unfit(stage, source) } else { Self::Broken(stage, source) }
    }

    fn is_refused_for(&self, prefixes: &[&str]) -> bool {
        matches!(self, Self::Refused { words, .. } if prefixes.iter().any(|prefix| words.starts_with(prefix)))
    }

    /// Returns true if only an operator can solve the problem.
    fn is_for_operator(&self) -> bool {
        match self {
            Self::NotConfigured | Self::Unfit(..) => true,
            Self::BadAddress | Self::Broken(..) => false,
            Self::Refused { stage, code, .. } => {
                *code >= 500
                    && match stage {
                        Stage::Connect | Stage::Encrypt | Stage::SignIn | Stage::Sender => true,
                        // Many servers reject us or the sender only at this stage: sign-in
                        // required, address blocked, sender not allowed.
                        Stage::Recipient => {
                            matches!(code, 530 | 534 | 535 | 538) || self.is_refused_for(&["5.7.", "5.1.7", "5.1.8"])
                        }
                        Stage::Content => false,
                    }
            }
        }
    }
}

/// Before the recipient is named, the server knows nothing secret, so its words are kept. After
/// that, only the enhanced status code is kept.
fn keepable(stage: Stage, words: &str) -> String {
    match stage {
        Stage::Connect | Stage::Encrypt | Stage::SignIn | Stage::Sender => words.to_owned(),
        Stage::Recipient | Stage::Content => {
            let first = words.split_whitespace().next().unwrap_or_default();
            let parts: Vec<&str> = first.split('.').collect();
            let is_code = parts.len() == 3
                && parts.iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
            if is_code { first.to_owned() } else { String::new() }
        }
    }
}

/// Returns true if TLS failed: rustls reports that as invalid data.
fn is_untrusted(error: &smtp::Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        if source.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        next = source.source();
    }
    error.is_tls()
}

impl From<MailError> for JobError {
    fn from(error: MailError) -> Self {
        if error == MailError::NotConfigured {
            let words = "Mail cannot be sent: set SMTP_URL and MAIL_FROM, then retry this job.";
            return Self::Fail(Cause::new(CauseClass::Config, words, error));
        }
        if error.is_for_operator() {
            let words = "The mail server does not let us send: an operator has to correct SMTP_URL or MAIL_FROM.";
            return Self::Retry(Cause::new(CauseClass::Config, words, error));
        }
        match error {
            MailError::Refused { code: 500.., stage: Stage::Content, .. } => {
                Self::Fail(Cause::new(CauseClass::Permanent, "The mail server refused the email.", error))
            }
            MailError::Refused { code: 500.., .. } | MailError::BadAddress => {
                Self::Fail(Cause::new(CauseClass::Recipient, "The mail server refuses emails to this address.", error))
            }
            MailError::Refused { .. } | MailError::Broken(..) | MailError::Unfit(..) | MailError::NotConfigured => {
                Self::Retry(Cause::new(
                    CauseClass::Transient,
                    "The mail server did not take the email; it is tried again.",
                    error,
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(stage: Stage, code: u16, words: &str) -> MailError {
        MailError::Refused { stage, code, words: keepable(stage, words) }
    }

    #[test]
    fn who_refuses_what_decides() {
        use Stage::{Connect, Content, Recipient, Sender, SignIn};
        let table = [
            (refused(Connect, 421, "4.3.2 shutting down"), "again", CauseClass::Transient),
            (refused(Connect, 554, "no service for you"), "again", CauseClass::Config),
            (refused(SignIn, 454, "4.7.0 try later"), "again", CauseClass::Transient),
            (refused(SignIn, 535, "5.7.8 wrong password"), "again", CauseClass::Config),
            (refused(Sender, 553, "5.1.8 unknown sender"), "again", CauseClass::Config),
            (refused(Recipient, 451, "4.2.0 greylisted"), "again", CauseClass::Transient),
            (refused(Recipient, 550, "5.1.1 no such user"), "never", CauseClass::Recipient),
            (refused(Recipient, 550, "no such user"), "never", CauseClass::Recipient),
            (refused(Recipient, 530, "sign in first"), "again", CauseClass::Config),
            (refused(Recipient, 554, "5.7.1 relay access denied"), "again", CauseClass::Config),
            (refused(Content, 452, "4.3.1 disk full"), "again", CauseClass::Transient),
            (refused(Content, 554, "5.7.1 spam"), "never", CauseClass::Permanent),
            (MailError::Broken(Content, "reset".to_owned()), "again", CauseClass::Transient),
            (MailError::Unfit(Stage::Encrypt, "no STARTTLS".to_owned()), "again", CauseClass::Config),
            (MailError::BadAddress, "never", CauseClass::Recipient),
            (MailError::NotConfigured, "never", CauseClass::Config),
        ];
        for (error, again, class) in table {
            let words = error.to_string();
            let decided = match JobError::from(error) {
                JobError::Retry(cause) => ("again", cause.class),
                JobError::Fail(cause) => ("never", cause.class),
                other @ (JobError::Later(..) | JobError::Park(..) | JobError::Reconcile(..) | JobError::Superseded) => {
                    panic!("{words}: {other:?}")
                }
            };
            assert_eq!(decided, (again, class), "{words}");
        }
    }

    #[test]
    fn what_a_server_says_about_recipients_and_letters_is_not_kept() {
        let said = "5.1.1 <bob@example.com>: no such user";
        assert_eq!(
            refused(Stage::Recipient, 550, said).to_string(),
            "while naming the recipient, the mail server refused with 550 5.1.1"
        );
        for said in ["https://linecook/verify-email/c0de", "1.2.c0de", "5.7.1.c0de", "bob@example.com"] {
            assert_eq!(keepable(Stage::Content, said), "", "{said}");
        }
        assert_eq!(keepable(Stage::SignIn, "5.7.8 wrong password"), "5.7.8 wrong password");
    }
}
