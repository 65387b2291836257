//! Tests of the recipients of emails to a tenant.

use std::time::Duration;

use sqlx::PgPool;

use super::*;
use crate::testing::{Bench, emails_to};

/// Makes an email to a tenant, and the account it is about.
async fn account_in_need(bench: &Bench) -> Email {
    let account_id = bench.connect_page().await;
    let sql =
        "update social_accounts set status = 'needs_reauth', status_reason = 'ended', name = 'Zoë''s' where id = $1";
    bench.execute(sql, account_id.0).await;
    Email::AccountNeedsAttention { account_id }
}

#[sqlx::test(migrations = "../migrations")]
async fn who_runs_a_tenant_gets_one_letter_each(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let (owner, admin, colleague) = (address("works"), address("later"), address("works"));
    member(&bench, &owner, "Zoë\r\nBcc: all@example.com <x@y>", "owner").await;
    let admin_id = member(&bench, &admin, "", "admin").await;
    member(&bench, &colleague, "", "member").await;
    let unverified = address("works");
    let id = member(&bench, &unverified, "", "owner").await;
    bench.execute("update users set email_verified_at = null where id = $1", id.0).await;
    let email = account_in_need(&bench).await;
    let job = bench.run(enqueue(&bench, email.clone()).await).await;
    assert_eq!((job.tenant_id, job.result.unwrap()["recipients"].as_u64()), (bench.tenant_id, Some(2)));
    bench.drain().await;
    assert_eq!((emails_to(&owner).len(), emails_to(&admin).len()), (1, 0), "the admin's server puts it off");
    bench.drain_after(Duration::from_secs(5)).await;
    assert_eq!((emails_to(&owner).len(), emails_to(&admin).len()), (1, 1));
    assert_eq!((emails_to(&colleague).len(), emails_to(&unverified).len()), (0, 0));
    let letter_to_owner = &emails_to(&owner)[0];
    assert!(header(letter_to_owner, "to").ends_with(&format!("<{owner}>")), "{letter_to_owner}");
    assert!(letter_to_owner["headers"].get("bcc").is_none());
    assert_eq!(header(letter_to_owner, "subject"), "Zoë's has to be connected again");
    bench.execute("update tenant_users set role = 'member' where user_id = $1", admin_id.0).await;
    let left = SendMail { email, to: Some(Recipient::User(admin_id)) };
    let job = bench.enqueue(&left).await;
    assert!(bench.run(job).await.result.unwrap()["nothing"].is_string(), "no admin any more");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_without_verified_people_gets_it_at_its_own_address(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let email = address("works");
    let sql = "update tenants set email = (select email from users limit 1) where id = $1";
    let mut tx = bench.engine.db.system().await.unwrap();
    person(&mut tx, &email, "", false).await;
    tx.commit().await.unwrap();
    bench.execute(sql, bench.tenant_id.0).await;
    let about_account = account_in_need(&bench).await;
    enqueue(&bench, about_account.clone()).await;
    bench.drain().await;
    let emails = emails_to(&email);
    assert_eq!(emails.len(), 1);
    assert_eq!(header(&emails[0], "to"), format!("Krusty Pizza <{email}>"));
    let Email::AccountNeedsAttention { account_id } = about_account else { unreachable!() };
    bench.execute("update social_accounts set status = 'active' where id = $1", account_id.0).await;
    enqueue(&bench, about_account).await;
    bench.drain().await;
    assert_eq!(emails_to(&email).len(), 1, "mended meanwhile");
}
