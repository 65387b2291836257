//! The mail server. Each email uses its own connection, and every step has its own time limit.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use lettre::{
    Message,
    message::Mailbox,
    transport::smtp::{
        self, Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::Url;

use super::{MailError, error::Stage, store::Addressee};
use crate::{
    ids::JobId,
    people::Address,
    value_parsers::{is_own_host, secret},
};

/// The mail server and the sender.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct MailConfig {
    /// The mail server: `smtps://user:password@host`, or for STARTTLS
    /// `smtp://user:password@host?tls=required`.
    #[arg(long, env = "SMTP_URL", hide_env_values = true, value_parser = secret)]
    pub smtp_url: Option<SecretString>,
    /// The sender of mail: `Linecook <linecook@example.com>`.
    #[arg(long, env = "MAIL_FROM")]
    pub mail_from: Option<String>,
    /// The recipient of alerts for operators.
    #[arg(long, env = "ALERT_EMAIL")]
    pub alert_email: Option<String>,
}

/// Sends mail if it is configured.
#[derive(Debug, Clone)]
pub struct Mailer {
    smtp: Option<Arc<Smtp>>,
    alert_address: Option<Addressee>,
}

impl Mailer {
    /// Returns a mailer, without connecting.
    ///
    /// # Errors
    /// Returns an error if a setting is malformed, or if there is a server but no sender.
    pub fn new(config: &MailConfig) -> anyhow::Result<Self> {
        let given = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
        let from = given(&config.mail_from).map(|from| from.parse::<Mailbox>()).transpose();
        let from = from.ok().context(FROM_FORM)?;
        // The sender follows the rule of everybody's addresses, and leaves with its domain in
        // ASCII.
        let from = from.map(|from| sender(&from)).transpose()?;
        let url = config.smtp_url.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.is_empty());
        let smtp = match (url, from) {
            (None, _) => None,
            (Some(_), None) => bail!("SMTP_URL is set, so set MAIL_FROM too: Linecook <linecook@example.com>"),
            (Some(url), Some(from)) => Some(Arc::new(Smtp::parse(url, from)?)),
        };
        let alert_address = given(&config.alert_email);
        let alert_address = alert_address.map(|email| Address::parse(email.trim())).transpose();
        let alert_address = alert_address.ok().context("ALERT_EMAIL should look like you@example.com")?;
        let addressee = |address: Address| Addressee { email: address.as_str().to_owned(), name: String::new() };
        Ok(Self { smtp, alert_address: alert_address.map(addressee) })
    }

    /// Returns true if there is a server, so that mail goes out.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.smtp.is_some()
    }

    /// Returns the server.
    pub(super) fn smtp(&self) -> Result<&Smtp, MailError> {
        self.smtp.as_deref().ok_or(MailError::NotConfigured)
    }

    /// The address of the operators.
    pub(super) fn alert_address(&self) -> Option<&Addressee> {
        self.alert_address.as_ref()
    }
}

/// The form of the sender.
const FROM_FORM: &str = "MAIL_FROM should look like Linecook <linecook@example.com>";

fn sender(from: &Mailbox) -> anyhow::Result<Mailbox> {
    let address = Address::parse(from.email.as_ref()).ok().context(FROM_FORM)?;
    Ok(Mailbox::new(from.name.clone(), address.as_str().parse().ok().context(FROM_FORM)?))
}

/// The time limits of the steps.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    /// Connecting, TLS and greeting included.
    connect: Duration,
    /// One command.
    command: Duration,
    /// The content of an email, until the server takes it. The server may look for viruses
    /// meanwhile.
    content: Duration,
    /// The farewell (`QUIT`) after the conversation.
    farewell: Duration,
}

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(15),
    command: Duration::from_secs(20),
    content: Duration::from_mins(1),
    farewell: Duration::from_secs(1),
};

enum Encryption {
    None,
    Upgraded(TlsParameters),
    FromTheStart(TlsParameters),
}

/// A mail server.
pub(super) struct Smtp {
    host: String,
    port: u16,
    encryption: Encryption,
    hello: ClientId,
    credentials: Option<Credentials>,
    from: Mailbox,
    limits: Timeouts,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Reads the address of a server, in the form that lettre's transport takes. Opportunistic TLS
    /// is not accepted: an attacker on the way could turn it off.
    ///
    /// # Errors
    /// Returns an error if the address is malformed. The error does not repeat it.
    fn parse(url: &str, from: Mailbox) -> anyhow::Result<Self> {
        const FORM: &str = "SMTP_URL should look like smtps://user:password@host, \
            smtp://user:password@host?tls=required, or smtp://host:25 without encryption";
        let url = Url::parse(url).ok().context(FORM)?;
        let host = url.host_str().filter(|host| !host.is_empty()).context(FORM)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let tls = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
        let parameters = || TlsParameters::new(host.clone()).context("TLS cannot be set up for the host of SMTP_URL");
        let (encryption, port) = match (url.scheme(), tls.as_deref()) {
            ("smtp", None) => (Encryption::None, smtp::SMTP_PORT),
            ("smtp", Some("required")) => (Encryption::Upgraded(parameters()?), smtp::SUBMISSION_PORT),
            ("smtps", None | Some("required")) => (Encryption::FromTheStart(parameters()?), smtp::SUBMISSIONS_PORT),
            _ => bail!(FORM),
        };
        let decoded = |part: &str| percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned);
        let credentials = match url.password() {
            Some(password) => {
                Some(Credentials::new(decoded(url.username()).context(FORM)?, decoded(password).ok().context(FORM)?))
            }
            None => None,
        };
        if matches!(encryption, Encryption::None) && credentials.is_some() && !is_own_host(&host) {
            bail!("SMTP_URL would send a password without encryption: use smtps:// or ?tls=required");
        }
        let name = url.path().trim_matches('/');
        let hello = if name.is_empty() { ClientId::default() } else { ClientId::Domain(name.to_owned()) };
        let port = url.port().unwrap_or(port);
        Ok(Self { host, port, encryption, hello, credentials, from, limits: TIMEOUTS })
    }

    /// The sender of mail.
    pub(super) fn from(&self) -> &Mailbox {
        &self.from
    }

    /// Returns the `Message-ID` of a job's email, which is the same for every attempt.
    pub(super) fn message_id(&self, job_id: JobId) -> String {
        format!("<{job_id}@{}>", self.from.email.domain())
    }

    /// Sends a message to its recipients.
    ///
    /// # Errors
    /// Returns [`MailError`]. The server may have the message nevertheless: see [`Stage::Content`].
    pub(super) async fn send(&self, message: &Message) -> Result<(), MailError> {
        let mut connection = self.connect().await?;
        let outcome = self.converse(&mut connection, message).await;
        // The result is settled, whether or not the server replies to the farewell.
        let _ = timeout(self.limits.farewell, connection.abort()).await;
        outcome
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let tls = match &self.encryption {
            Encryption::FromTheStart(tls) => Some(tls.clone()),
            Encryption::None | Encryption::Upgraded(_) => None,
        };
        // Half of the time for each of the host's addresses, so that a second one is tried.
        let each = Some(self.limits.connect / 2);
        let server = (self.host.as_str(), self.port);
        let connected = AsyncSmtpConnection::connect_tokio1(server, each, &self.hello, tls, None);
        within(self.limits.connect, Stage::Connect, connected).await
    }

    async fn converse(&self, connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), MailError> {
        let limit = self.limits.command;
        if let Encryption::Upgraded(tls) = &self.encryption {
            within(limit, Stage::Encrypt, connection.starttls(tls.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            within(limit, Stage::SignIn, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        let envelope = message.envelope();
        let options = if envelope.to().iter().all(|to| to.to_string().is_ascii()) {
            Vec::new()
        } else if connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            vec![MailParameter::SmtpUtfEight]
        } else {
            return Err(MailError::BadAddress);
        };
        let sender = Mail::new(envelope.from().cloned(), options);
        within(limit, Stage::Sender, connection.command(sender)).await?;
        for to in envelope.to() {
            within(limit, Stage::Recipient, connection.command(Rcpt::new(to.clone(), Vec::new()))).await?;
        }
        within(limit, Stage::Content, connection.command(Data)).await?;
        within(self.limits.content, Stage::Content, connection.message(&message.formatted())).await?;
        Ok(())
    }
}

async fn within<T>(
    limit: Duration,
    stage: Stage,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, MailError> {
    match timeout(limit, step).await {
        Ok(answer) => answer.map_err(|error| MailError::of(stage, &error)),
        Err(_) => Err(MailError::Broken(stage, format!("no answer within {} s", limit.as_secs()))),
    }
}

#[cfg(test)]
mod tests;
