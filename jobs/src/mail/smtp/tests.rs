//! Tests of the requirements on a server, and of the time limits.

use lettre::message::SinglePart;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::testing::emails_to;

fn from() -> Mailbox {
    "Linecook <linecook@example.com>".parse().unwrap()
}

fn setting(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by scripts/test"))
}

/// Returns a message to an address that nobody else uses.
fn message() -> (String, Message) {
    let to = format!("works.{}@example.com", Uuid::now_v7().simple());
    let message = Message::builder()
        .from(from())
        .to(to.parse().unwrap())
        .subject("Hello")
        .singlepart(SinglePart::plain("Hello".to_owned()));
    (to, message.unwrap())
}

/// Returns the address of the server with another user and query.
fn url(user: &str, query: &str) -> String {
    let url = setting("MAIL_SERVER_URL");
    format!("smtp://{user}{}{query}", url.strip_prefix("smtp://").unwrap())
}

#[test]
fn addresses_are_read_as_lettre_reads_them() {
    let table = [
        ("smtp://mail.example.com", "mail.example.com", smtp::SMTP_PORT, "none"),
        ("smtp://mail.example.com:2525", "mail.example.com", 2525, "none"),
        ("smtp://me:p%40ss@mail.example.com?tls=required", "mail.example.com", smtp::SUBMISSION_PORT, "upgraded"),
        ("smtps://me:pass@mail.example.com/our.name", "mail.example.com", smtp::SUBMISSIONS_PORT, "from the start"),
        ("smtps://[::1]:4650", "::1", 4650, "from the start"),
    ];
    for (url, host, port, encryption) in table {
        let smtp = Smtp::parse(url, from()).unwrap();
        let found = match smtp.encryption {
            Encryption::None => "none",
            Encryption::Upgraded(_) => "upgraded",
            Encryption::FromTheStart(_) => "from the start",
        };
        assert_eq!((smtp.host.as_str(), smtp.port, found), (host, port, encryption), "{url}");
        assert_eq!(smtp.credentials.is_some(), url.contains('@'), "{url}");
    }
    let smtp = Smtp::parse("smtp://me:p%40ss@127.0.0.1", from()).unwrap();
    assert!(smtp.credentials == Some(Credentials::new("me".to_owned(), "p@ss".to_owned())));
    assert!(!format!("{smtp:?}").contains("p@ss"));
}

#[test]
fn what_is_no_setting_is_refused_without_being_repeated() {
    let config = |url: &str, from: Option<&str>, alert: Option<&str>| MailConfig {
        smtp_url: Some(url.into()),
        mail_from: from.map(str::to_owned),
        alert_email: alert.map(str::to_owned),
    };
    let good = Some("a@example.com");
    for (config, name) in [
        (config("mail.example.com:25", good, None), "SMTP_URL"),
        (config("http://me:sesame@mail.example.com", good, None), "SMTP_URL"),
        (config("smtp://me:sesame@mail.example.com?tls=opportunistic", good, None), "SMTP_URL"),
        (config("smtp://me:%ff@mail.example.com", good, None), "SMTP_URL"),
        (config("smtp://me:sesame@mail.example.com", good, None), "SMTP_URL"),
        (config("smtp://me:sesame@198.51.100.7:25", good, None), "SMTP_URL"),
        (config("smtp://mail.example.com", None, None), "MAIL_FROM"),
        (config("smtp://mail.example.com", Some("nobody"), None), "MAIL_FROM"),
        (config("smtp://mail.example.com", Some("a@example.com\r\nBcc: b@example.com"), None), "MAIL_FROM"),
        (config("smtp://mail.example.com", Some("Linecook <\"a b\"@example.com>"), None), "MAIL_FROM"),
        (config("smtp://mail.example.com", Some("Linecook <a@localhost>"), None), "MAIL_FROM"),
        (config("smtp://mail.example.com", Some("\u{438}@example.com"), None), "MAIL_FROM"),
        (config("smtp://mail.example.com", Some("a@[198.51.100.7]"), None), "MAIL_FROM"),
        (config("smtp://mail.example.com", good, Some("nobody")), "ALERT_EMAIL"),
    ] {
        let error = format!("{:#}", Mailer::new(&config).unwrap_err());
        assert!(error.contains(name) && !error.contains("sesame"), "{error}");
    }
    for url in ["smtp://me:sesame@127.0.0.1", "smtp://me:sesame@mail", "smtps://me:sesame@mail.example.com"] {
        assert!(Mailer::new(&config(url, Some("Linecook <a@b\u{fc}cher.example>"), None)).is_ok(), "{url}");
    }
    for url in [None, Some("".into())] {
        let mailer = Mailer::new(&MailConfig { smtp_url: url, ..MailConfig::default() }).unwrap();
        assert_eq!(mailer.smtp().unwrap_err(), MailError::NotConfigured);
    }
}

#[tokio::test]
async fn who_signs_in_rightly_sends_and_who_does_not_does_not() {
    for (user, sent) in [("me:right@", 1), ("me:wrong@", 0)] {
        let (to, message) = message();
        let outcome = Smtp::parse(&url(user, ""), from()).unwrap().send(&message).await;
        assert_eq!((outcome.is_ok(), emails_to(&to).len()), (sent == 1, sent), "{outcome:?}");
        if let Err(error) = outcome {
            assert!(matches!(error, MailError::Refused { stage: Stage::SignIn, code: 535, .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_where_encryption_is_asked_for() {
    let (to, message) = message();
    let error = Smtp::parse(&url("me:right@", "?tls=required"), from()).unwrap().send(&message).await.unwrap_err();
    assert!(matches!(error, MailError::Unfit(Stage::Encrypt, _)), "{error:?}");
    assert_eq!(emails_to(&to).len(), 0);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (to, message) = message();
    let error = Smtp::parse(&setting("MAIL_SERVER_TLS_URL"), from()).unwrap().send(&message).await.unwrap_err();
    assert!(matches!(error, MailError::Unfit(Stage::Connect, _)), "{error:?}");
    assert_eq!(emails_to(&to).len(), 0);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    let soon = Duration::from_millis(50);
    let limits = Timeouts { connect: soon, command: soon, content: soon, farewell: soon };
    let smtp = Smtp { limits, ..Smtp::parse(&url, from()).unwrap() };
    let error = smtp.send(&message().1).await.unwrap_err();
    assert!(matches!(error, MailError::Broken(Stage::Connect, _)), "{error:?}");
    drop(silent);
    let error = smtp.send(&message().1).await.unwrap_err();
    assert!(matches!(error, MailError::Broken(Stage::Connect, _)), "nobody listens: {error:?}");
}
