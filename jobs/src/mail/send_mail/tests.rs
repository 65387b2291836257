//! Tests of sending mail, with every fault of the server.

mod tenants;

use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::*;
use crate::{
    config::ServicesConfig,
    engine::{JobState, NewJob, Tx},
    ids::{AccountId, DeliveryId, JobId, TenantId, UserId},
    mail,
    services::Services,
    testing::{Bench, emails_to},
};

/// Returns an address that nobody else uses. The part before the first dot selects the fault.
fn address(fault: &str) -> String {
    format!("{fault}.{}@example.com", Uuid::now_v7().simple())
}

/// Makes a person, verified or not.
async fn person(tx: &mut Tx, email: &str, name: &str, is_verified: bool) -> UserId {
    let sql = "
        insert into users (id, email, first_name, email_verified_at)
        values ($1, $2, $3, case when $4 then engine_stamp() end)";
    let id = UserId::new();
    sqlx::query(sql).bind(id.0).bind(email).bind(name).bind(is_verified).execute(&mut **tx).await.unwrap();
    id
}

async fn member(bench: &Bench, email: &str, name: &str, role: &str) -> UserId {
    let mut tx = bench.engine.db.system().await.unwrap();
    let id = person(&mut tx, email, name, true).await;
    let sql = "insert into tenant_users (tenant_id, user_id, role) values ($1, $2, $3)";
    sqlx::query(sql).bind(bench.tenant_id.0).bind(id.0).bind(role).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Makes a link for a new person with this address.
async fn link(bench: &Bench, email: &str, purpose: &str) -> Uuid {
    let id = Uuid::now_v7();
    let mut tx = bench.engine.db.system().await.unwrap();
    let user_id = person(&mut tx, email, "", false).await;
    let sql = "
        insert into mail_links (id, user_id, purpose, expires_at)
        values ($1, $2, $3, engine_stamp() + interval '1 day')";
    sqlx::query(sql).bind(id).bind(user_id.0).bind(purpose).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn invitation(bench: &Bench, email: &str, inviter: UserId) -> Uuid {
    let id = Uuid::now_v7();
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let sql = "
        insert into invitations (id, tenant_id, email, role, invited_by, expires_at)
        values ($1, $2, $3, 'admin', $4, engine_stamp() + interval '1 day')";
    let tenant = bench.tenant_id.0;
    sqlx::query(sql).bind(id).bind(tenant).bind(email).bind(inviter.0).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Enqueues an email as the program does. Returns its job.
async fn enqueue(bench: &Bench, email: Email) -> JobId {
    let mut tx = bench.engine.db.system().await.unwrap();
    mail::enqueue(&mut tx, bench.tenant_id, email.clone()).await.unwrap();
    let id = sqlx::query_scalar("select id from jobs where kind = 'send_mail' and unique_key = $1")
        .bind(email.key())
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    JobId(id)
}

async fn verify_email(bench: &Bench, email: &str) -> JobId {
    let link_id = link(bench, email, "verify_email").await;
    enqueue(bench, Email::VerifyEmail { link_id }).await
}

fn header<'a>(email: &'a Value, name: &str) -> &'a str {
    let values = email["headers"][name].as_array().unwrap_or_else(|| panic!("no {name} in {email}"));
    assert_eq!(values.len(), 1, "{values:?}");
    values[0].as_str().unwrap()
}

fn text(email: &Value) -> String {
    email["plain"].as_str().unwrap().replace("\r\n", "\n")
}

/// Returns a bench with another configuration.
async fn configured(pool: PgPool, change: impl FnOnce(&mut ServicesConfig)) -> Bench {
    let mut bench = Bench::new(pool).await;
    let mut config = bench.sandbox.services_config();
    change(&mut config);
    bench.engine.services = Services::new(&config).unwrap();
    bench
}

#[test]
fn the_payload_keeps_its_form() {
    let nil = Uuid::nil();
    let (account_id, delivery_id, user_id) = (AccountId(nil), DeliveryId(nil), UserId(nil));
    let emails = [
        (Email::VerifyEmail { link_id: nil }, "verify_email", "link_id"),
        (Email::AddressTaken { user_id }, "address_taken", "user_id"),
        (Email::ResetPassword { link_id: nil }, "reset_password", "link_id"),
        (Email::OperatorInvitation { link_id: nil }, "operator_invitation", "link_id"),
        (Email::Invitation { invitation_id: nil }, "invitation", "invitation_id"),
        (Email::AccountNeedsAttention { account_id }, "account_needs_attention", "account_id"),
        (Email::PostFailed { delivery_id }, "post_failed", "delivery_id"),
        (Email::PostMissed { delivery_id }, "post_missed", "delivery_id"),
        (Email::PostUnknown { delivery_id }, "post_unknown", "delivery_id"),
    ];
    for (email, name, field) in emails {
        let mail = SendMail { email, to: None };
        assert_eq!(serde_json::to_value(&mail).unwrap(), json!({ "letter": name, field: nil }));
        assert_eq!(mail.unique_key(), Some(format!("{name}:{nil}")));
    }
    let alert = Email::OperatorAlert { sort: "poison".to_owned(), words: "a job".to_owned() };
    let payload = json!({ "letter": "operator_alert", "sort": "poison", "words": "a job" });
    assert_eq!(serde_json::to_value(SendMail { email: alert, to: None }).unwrap(), payload);
    for (to, shown) in [(Recipient::User(user_id), json!({ "user": nil })), (Recipient::Tenant, json!("tenant"))] {
        let mail = SendMail { email: Email::PostFailed { delivery_id }, to: Some(to) };
        let payload = serde_json::to_value(&mail).unwrap();
        assert_eq!(payload, json!({ "letter": "post_failed", "delivery_id": nil, "to": shown }));
        assert_eq!(serde_json::from_value::<SendMail>(payload).unwrap().to, Some(to));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_person_gets_a_link_that_is_read_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for (purpose, page) in [("verify_email", "verify-email"), ("reset_password", "reset-password")] {
        let email = address("works");
        let link_id = link(&bench, &email, purpose).await;
        let verifies = purpose == "verify_email";
        let linked = if verifies { Email::VerifyEmail { link_id } } else { Email::ResetPassword { link_id } };
        let job = bench.run(enqueue(&bench, linked).await).await;
        assert_eq!((job.state, job.tenant_id), (JobState::Completed, TenantId::SYSTEM), "{:?}", job.error);
        let emails = emails_to(&email);
        assert_eq!(emails.len(), 1);
        let text = text(&emails[0]);
        let before = format!("http://127.0.0.1:1/{page}/");
        let code = text.lines().find_map(|line| line.strip_prefix(&before)).unwrap();
        assert_eq!(bench.engine.services.signer.read(purpose, code), Some(link_id));
        let html = emails[0]["html"].as_str().unwrap();
        assert!(html.contains(&format!("<a href=\"{before}{code}\">")), "{html}");
        assert!(!format!("{:?} {:?}", job.args, job.result).contains(code));
        assert_eq!(header(&emails[0], "to"), email);
        assert_eq!(header(&emails[0], "from"), "Linecook <linecook@example.com>");
        assert_eq!(header(&emails[0], "auto-submitted"), "auto-generated");
        assert_eq!(header(&emails[0], "message-id"), format!("<{}@example.com>", job.id));
        assert_eq!(job.result.unwrap()["message_id"], header(&emails[0], "message-id"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_that_is_used_over_or_gone_is_nothing_to_do(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for sql in [
        "update mail_links set used_at = engine_stamp() where id = $1",
        "update mail_links set expires_at = engine_stamp() where id = $1",
        "delete from users where id = (select user_id from mail_links where id = $1)",
        "update mail_links set purpose = 'reset_password' where id = $1",
    ] {
        let email = address("works");
        let link_id = link(&bench, &email, "verify_email").await;
        let job = enqueue(&bench, Email::VerifyEmail { link_id }).await;
        bench.execute(sql, link_id).await;
        let job = bench.run(job).await;
        assert!(job.result.unwrap()["nothing"].is_string(), "{sql}");
        assert_eq!((job.state, emails_to(&email).len()), (JobState::Completed, 0), "{sql}");
    }
    let job = enqueue(&bench, Email::AddressTaken { user_id: UserId::new() }).await;
    assert!(bench.run(job).await.result.unwrap()["nothing"].is_string());
}

#[sqlx::test(migrations = "../migrations")]
async fn the_owner_of_a_taken_address_is_told(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let email = address("works");
    let user_id = member(&bench, &email, "Zoë", "member").await;
    bench.run(enqueue(&bench, Email::AddressTaken { user_id }).await).await;
    let emails = emails_to(&email);
    assert_eq!((emails.len(), header(&emails[0], "subject")), (1, "You have an account already"));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invitation_is_sent_while_it_is_open(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let inviter = member(&bench, &address("works"), "Zoë", "owner").await;
    bench.execute("update tenants set name = 'Käse <b>& Brot' where id = $1", bench.tenant_id.0).await;
    let email = address("works");
    let invitation_id = invitation(&bench, &email, inviter).await;
    let job = bench.run(enqueue(&bench, Email::Invitation { invitation_id }).await).await;
    assert_eq!((job.state, job.tenant_id), (JobState::Completed, bench.tenant_id), "{:?}", job.error);
    let emails = emails_to(&email);
    assert_eq!(header(&emails[0], "subject"), "You are invited to \u{201c}Käse <b>& Brot\u{201d} on Linecook");
    let text = text(&emails[0]);
    assert!(
        text.contains("\u{201c}Zoë\u{201d} invites you to join \u{201c}Käse <b>& Brot\u{201d} on Linecook as admin."),
        "{text}"
    );
    let code = text.lines().find_map(|line| line.strip_prefix("http://127.0.0.1:1/invitations/")).unwrap();
    assert_eq!(bench.engine.services.signer.read("invitation", code), Some(invitation_id));
    assert!(!emails[0]["html"].as_str().unwrap().contains("<b>"));
    for sql in [
        "update invitations set revoked_at = engine_stamp() where id = $1",
        "update invitations set accepted_at = engine_stamp(), revoked_at = null where id = $1",
        "update invitations set expires_at = engine_stamp(), accepted_at = null where id = $1",
        "delete from invitations where id = $1",
    ] {
        let job = enqueue(&bench, Email::Invitation { invitation_id }).await;
        bench.execute(sql, invitation_id).await;
        assert!(bench.run(job).await.result.unwrap()["nothing"].is_string(), "{sql}");
    }
    assert_eq!(emails_to(&email).len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn another_tenants_invitation_is_none(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let email = address("works");
    let inviter = member(&bench, &address("works"), "Zoë", "owner").await;
    let invitation_id = invitation(&bench, &email, inviter).await;
    let mail = SendMail { email: Email::Invitation { invitation_id }, to: None };
    let job = bench.enqueue_for_system(&mail).await;
    assert!(bench.run(job).await.result.unwrap()["nothing"].is_string());
    assert_eq!(emails_to(&email).len(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_run_sends_the_same_letter(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let email = address("works");
    let link_id = link(&bench, &email, "verify_email").await;
    let job = enqueue(&bench, Email::VerifyEmail { link_id }).await;
    assert_eq!(enqueue(&bench, Email::VerifyEmail { link_id }).await, job, "one job while it waits");
    bench.run(job).await;
    bench.drain().await;
    assert_eq!(emails_to(&email).len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_server_puts_off_is_sent_later_and_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for fault in ["later", "busy", "hangup"] {
        let email = address(fault);
        let id = verify_email(&bench, &email).await;
        let job = bench.run(id).await;
        assert_eq!((job.state, job.failures), (JobState::Retryable, 1), "{fault}: {:?}", job.error);
        assert_eq!(bench.error_class(id).await, "transient", "{fault}");
        assert!(!job.error.unwrap().to_string().contains(&email), "{fault}");
        bench.drain_after(Duration::from_secs(5)).await;
        assert_eq!((bench.job(id).await.state, emails_to(&email).len()), (JobState::Completed, 1), "{fault}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_letter_whose_answer_got_lost_is_sent_again_under_the_same_id(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let email = address("cut");
    let id = verify_email(&bench, &email).await;
    assert_eq!(bench.run(id).await.state, JobState::Retryable);
    bench.drain_after(Duration::from_secs(5)).await;
    assert_eq!(bench.job(id).await.state, JobState::Completed);
    let emails = emails_to(&email);
    assert_eq!(emails.len(), 2, "it cannot be known that the first was taken");
    assert_eq!(header(&emails[0], "message-id"), header(&emails[1], "message-id"));
    assert_eq!(text(&emails[0]), text(&emails[1]));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_server_refuses_is_not_sent_again_and_the_error_keeps_secrets(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for (fault, class, said) in [("no", "recipient", "550 5.1.1"), ("spam", "permanent", "554 5.7.1")] {
        let email = address(fault);
        let link_id = link(&bench, &email, "verify_email").await;
        let id = enqueue(&bench, Email::VerifyEmail { link_id }).await;
        let job = bench.run(id).await;
        assert_eq!((job.state, bench.error_class(id).await.as_str()), (JobState::Discarded, class), "{fault}");
        let error = job.error.unwrap().to_string();
        let code = bench.engine.services.signer.code("verify_email", link_id);
        assert!(error.contains(said) && !error.contains(&email), "{error}");
        assert!(!error.contains(&code[..20]) && !error.contains("Somebody"), "{error}");
        assert_eq!(emails_to(&email).len(), 0, "{fault}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_mail_server_the_job_says_what_to_set(pool: PgPool) {
    let bench = configured(pool, |config| config.mail.smtp_url = None).await;
    let id = verify_email(&bench, &address("works")).await;
    let job = bench.run(id).await;
    assert_eq!((job.state, bench.error_class(id).await.as_str()), (JobState::Discarded, "config"));
    assert!(job.error.unwrap()["message"].as_str().unwrap().contains("set SMTP_URL"));
}

#[sqlx::test(migrations = "../migrations")]
async fn what_only_an_operator_can_mend_waits_for_him(pool: PgPool) {
    let mut bench = configured(pool, |config| config.mail.mail_from = Some("refused.us@example.com".to_owned())).await;
    let email = address("works");
    let id = verify_email(&bench, &email).await;
    assert_eq!((bench.run(id).await.state, bench.error_class(id).await.as_str()), (JobState::Retryable, "config"));
    let mended = Services::new(&bench.sandbox.services_config()).unwrap();
    bench.engine.services = mended;
    bench.drain_after(Duration::from_secs(5)).await;
    assert_eq!((bench.job(id).await.state, emails_to(&email).len()), (JobState::Completed, 1));
    let id = verify_email(&bench, &address("relay")).await;
    assert_eq!((bench.run(id).await.state, bench.error_class(id).await.as_str()), (JobState::Retryable, "config"));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_that_is_none_is_given_up(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for email in ["no address", "a@b\r\nBcc: all@example.com", "a@b, c@d"] {
        let id = verify_email(&bench, email).await;
        let job = bench.run(id).await;
        assert_eq!((job.state, bench.error_class(id).await.as_str()), (JobState::Discarded, "recipient"));
        assert!(!job.error.unwrap().to_string().contains(email));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn operators_are_told_of_a_sort_of_thing_once_an_hour(pool: PgPool) {
    let email = address("works");
    let bench = configured(pool, |config| config.mail.alert_email = Some(email.clone())).await;
    let alert = async |sort: &str| {
        let mut tx = bench.engine.db.system().await.unwrap();
        let told = mail::alert(&mut tx, sort, "Look at it.").await.unwrap();
        tx.commit().await.unwrap();
        bench.drain().await;
        told
    };
    assert!(alert("A job was given up").await);
    assert!(!alert("A job was given up").await);
    assert!(alert("The audit log is broken").await);
    bench.engine.db.shift_clock(Duration::from_mins(61));
    assert!(alert("A job was given up").await);
    let emails = emails_to(&email);
    assert_eq!(emails.len(), 3);
    assert_eq!(header(&emails[0], "subject"), "Linecook: A job was given up");
    assert!(text(&emails[0]).starts_with("Look at it."));
}

#[sqlx::test(migrations = "../migrations")]
async fn without_an_address_for_alerts_nobody_is_told(pool: PgPool) {
    let bench = configured(pool, |config| config.mail.alert_email = None).await;
    let email = Email::OperatorAlert { sort: "x".to_owned(), words: "y".to_owned() };
    let mut tx = bench.engine.db.system().await.unwrap();
    let mail = SendMail { email, to: None };
    let job = tx.enqueue(NewJob::new(TenantId::SYSTEM, &mail)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(bench.run(job.id).await.result.unwrap()["nothing"].is_string());
}
