//! Reads the rows that an email needs, and builds the message.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use super::{
    AccountChange, Email, MailError, Recipient, SendMail,
    store::{self, Addressee},
    template::{DeliveryOutcome, EmailTemplate, one_line, stranger, time},
};
use crate::{
    engine::{JobContext, JobError, Tx},
    ids::{AccountId, DeliveryId, TenantId, TokenId, UserId},
    people::store::Side,
    services::Services,
};

/// An email with everything that is in it.
#[derive(Debug)]
pub(super) struct RenderedEmail {
    pub(super) to: Addressee,
    pub(super) words: EmailTemplate,
    pub(super) date: DateTime<Utc>,
}

/// Reads an email. Returns `None` if there is no recipient or nothing to say any more.
pub(super) async fn read(cx: &JobContext, mail: &SendMail) -> Result<Option<RenderedEmail>, JobError> {
    let mut tx = cx.begin().await?;
    let date = tx.now().await?;
    let (services, tenant_id) = (cx.services(), cx.tenant_id());
    let found = match &mail.email {
        Email::VerifyEmail { link_id } => {
            link(&mut tx, services, "verify_email", *link_id, |url, until| EmailTemplate::VerifyEmail { url, until })
                .await?
        }
        Email::ResetPassword { link_id } => {
            link(&mut tx, services, "reset_password", *link_id, |url, until| EmailTemplate::ResetPassword {
                url,
                until,
            })
            .await?
        }
        Email::OperatorInvitation { link_id } => {
            link(&mut tx, services, "reset_password", *link_id, |url, until| EmailTemplate::OperatorInvitation {
                url,
                until,
            })
            .await?
        }
        Email::AddressTaken { user_id } => {
            let email = store::get_email(&mut tx, *user_id).await?;
            email.map(|email| (nameless(email), EmailTemplate::AddressTaken { url: services.public_url().to_owned() }))
        }
        Email::ConfirmOldAddress { change_id } => address_change(&mut tx, services, *change_id, Side::Old).await?,
        Email::ConfirmNewAddress { change_id } => address_change(&mut tx, services, *change_id, Side::New).await?,
        Email::AccountChanged { user_id, change } => account_changed(&mut tx, services, *user_id, *change).await?,
        Email::Invitation { invitation_id } => invitation(&mut tx, services, tenant_id, *invitation_id).await?,
        Email::OperatorAlert { sort, words } => services
            .mail
            .alert_address()
            .map(|to| (to.clone(), EmailTemplate::OperatorAlert { sort: sort.clone(), words: words.clone() })),
        Email::AccountNeedsAttention { account_id } => {
            account_in_need(&mut tx, tenant_id, mail.to, *account_id).await?
        }
        Email::KeyRefused { key_id } => key_refused(&mut tx, services, tenant_id, mail.to, *key_id).await?,
        Email::ConnectionEnding { token_id, .. } => connection_ending(&mut tx, tenant_id, mail.to, *token_id).await?,
        Email::PostFailed { delivery_id } => {
            post(&mut tx, tenant_id, mail.to, *delivery_id, DeliveryOutcome::Failed).await?
        }
        Email::PostMissed { delivery_id } => {
            post(&mut tx, tenant_id, mail.to, *delivery_id, DeliveryOutcome::Missed).await?
        }
        Email::PostUnknown { delivery_id } => {
            post(&mut tx, tenant_id, mail.to, *delivery_id, DeliveryOutcome::Unknown).await?
        }
    };
    Ok(found.map(|(to, words)| RenderedEmail { to, words, date }))
}

type Found = Option<(Addressee, EmailTemplate)>;

/// Returns an addressee without a name. A stranger who registers somebody else's address chooses
/// the name, and our email must not carry the stranger's words.
fn nameless(email: String) -> Addressee {
    Addressee { email, name: String::new() }
}

async fn link(
    tx: &mut Tx,
    services: &Services,
    purpose: &str,
    id: Uuid,
    words: fn(String, String) -> EmailTemplate,
) -> Result<Found, sqlx::Error> {
    let row = store::get_open_link(tx, purpose, id).await?;
    Ok(row.map(|row| {
        let page = purpose.replace('_', "-");
        let url = format!("{}/{page}/{}", services.public_url(), services.signer.code(purpose, id));
        (nameless(row.email), words(url, time(row.expires_at)))
    }))
}

async fn account_changed(
    tx: &mut Tx,
    services: &Services,
    user_id: UserId,
    change: AccountChange,
) -> Result<Found, sqlx::Error> {
    let email = store::get_email(tx, user_id).await?;
    let url = format!("{}/forgot-password", services.public_url());
    Ok(email.map(|email| (nameless(email), EmailTemplate::AccountChanged { change, url })))
}

async fn address_change(tx: &mut Tx, services: &Services, id: Uuid, side: Side) -> Result<Found, sqlx::Error> {
    let row = store::get_open_address_change(tx, id).await?;
    Ok(row.map(|row| {
        let url = format!("{}/confirm-address/{}", services.public_url(), services.signer.code(side.purpose(), id));
        let until = time(row.expires_at);
        match side {
            Side::Old => (nameless(row.old), EmailTemplate::ConfirmOldAddress { new: row.new, url, until }),
            Side::New => (nameless(row.new), EmailTemplate::ConfirmNewAddress { url, until }),
        }
    }))
}

async fn invitation(tx: &mut Tx, services: &Services, tenant_id: TenantId, id: Uuid) -> Result<Found, sqlx::Error> {
    let row = store::get_open_invitation(tx, tenant_id, id).await?;
    Ok(row.map(|row| {
        let code = services.signer.code("invitation", id);
        let words = EmailTemplate::Invitation {
            tenant: stranger(&row.tenant),
            inviter: stranger(&row.inviter),
            role: row.role,
            url: format!("{}/invitations/{code}", services.public_url()),
            until: time(row.expires_at),
        };
        (nameless(row.email), words)
    }))
}

async fn account_in_need(
    tx: &mut Tx,
    tenant_id: TenantId,
    to: Option<Recipient>,
    id: AccountId,
) -> Result<Found, sqlx::Error> {
    let account = store::get_account_in_need(tx, tenant_id, id).await?;
    let words = account.map(|account| EmailTemplate::AccountNeedsAttention {
        tenant: one_line(&account.tenant),
        account: one_line(&account.name),
        platform: account.platform,
        reason: one_line(&account.reason),
    });
    addressed(tx, tenant_id, to, words).await
}

async fn key_refused(
    tx: &mut Tx,
    services: &Services,
    tenant_id: TenantId,
    to: Option<Recipient>,
    id: Uuid,
) -> Result<Found, sqlx::Error> {
    let key = store::get_refused_key(tx, tenant_id, id).await?;
    let words = key.map(|key| EmailTemplate::KeyRefused {
        tenant: one_line(&key.tenant),
        service: key.service.label().to_owned(),
        reason: one_line(&key.reason),
        url: format!("{}/workspace/keys?workspace={tenant_id}", services.public_url()),
    });
    addressed(tx, tenant_id, to, words).await
}

async fn connection_ending(
    tx: &mut Tx,
    tenant_id: TenantId,
    to: Option<Recipient>,
    id: TokenId,
) -> Result<Found, sqlx::Error> {
    let connection = store::get_ending_connection(tx, tenant_id, id).await?;
    let words = connection.map(|connection| EmailTemplate::ConnectionEnding {
        tenant: one_line(&connection.tenant),
        accounts: one_line(&connection.accounts),
        platform: connection.platform,
        until: time(connection.deadline),
    });
    addressed(tx, tenant_id, to, words).await
}

async fn post(
    tx: &mut Tx,
    tenant_id: TenantId,
    to: Option<Recipient>,
    id: DeliveryId,
    outcome: DeliveryOutcome,
) -> Result<Found, sqlx::Error> {
    let row = store::get_delivery(tx, tenant_id, id, outcome.state()).await?;
    let words = row.map(|row| EmailTemplate::Post {
        outcome,
        tenant: one_line(&row.tenant),
        account: one_line(&row.account),
        excerpt: one_line(&row.caption),
        scheduled: time(row.scheduled_at),
        reason: one_line(&row.reason),
    });
    addressed(tx, tenant_id, to, words).await
}

/// Adds the address of one of the tenant's recipients to the text.
async fn addressed(
    tx: &mut Tx,
    tenant_id: TenantId,
    to: Option<Recipient>,
    words: Option<EmailTemplate>,
) -> Result<Found, sqlx::Error> {
    let address = match to {
        Some(Recipient::User(id)) => store::get_staff(tx, tenant_id, id).await?,
        Some(Recipient::Tenant) => store::get_tenant(tx, tenant_id).await?,
        None => None,
    };
    Ok(address.zip(words))
}

impl RenderedEmail {
    /// Returns the message, in plain text and HTML.
    ///
    /// # Errors
    /// Returns [`MailError::BadAddress`] if the recipient's address is malformed.
    pub(super) fn compose(&self, from: &Mailbox, message_id: &str) -> Result<Message, MailError> {
        let address = self.to.email.trim().parse().map_err(|_| MailError::BadAddress)?;
        let name = Some(one_line(&self.to.name)).filter(|name| !name.is_empty());
        let text = self.words.to_text();
        let message = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(name, address))
            .subject(self.words.subject())
            .date(SystemTime::from(self.date))
            .message_id(Some(message_id.to_owned()))
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(text.clone(), self.words.to_html(&text)));
        message.map_err(|_| MailError::BadAddress)
    }
}

/// The header that stops automatic replies (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
