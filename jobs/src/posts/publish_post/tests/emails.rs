//! Tests of the emails to a tenant about its deliveries: one for each outcome.

use serde_json::Value;
use sqlx::PgPool;

use super::*;
use crate::{
    engine::JobState,
    ids::JobId,
    testing::{Bench, emails_to},
};

/// A bench whose tenant has an address that nobody else uses.
async fn bench(pool: PgPool) -> (Bench, String) {
    let bench = Bench::new(pool).await;
    let sql = "update tenants set email = 'works.' || replace(id::text, '-', '') || '@example.com' where id = $1";
    bench.execute(sql, bench.tenant_id.0).await;
    let address = format!("works.{}@example.com", bench.tenant_id.0.simple());
    (bench, address)
}

fn subjects(emails: &[Value]) -> Vec<&str> {
    emails.iter().map(|email| email["headers"]["subject"][0].as_str().unwrap()).collect()
}

/// Makes a post that the network refused for good.
async fn refused(bench: &Bench) -> JobId {
    let job = due(bench, false).await;
    bench.sandbox.graph_error("publish_feed", 100, 2_061_006).await;
    assert_eq!(bench.run(job).await.state, JobState::Discarded);
    job
}

#[sqlx::test(migrations = "../migrations")]
async fn of_a_post_that_failed_its_tenant_is_told_once_however_often_it_is_retried(pool: PgPool) {
    let (bench, address) = bench(pool).await;
    let job = refused(&bench).await;
    bench.drain().await;
    let emails = emails_to(&address);
    assert_eq!(emails.len(), 1);
    assert!(subjects(&emails)[0].ends_with("did not go out"));
    let text = emails[0]["plain"].as_str().unwrap();
    let reason = delivery(&bench, job).await.error.unwrap();
    assert!(text.contains("Two for one on Tuesday #pizza") && text.contains(&reason), "{text}");
    bench.retry(job).await;
    bench.drain().await;
    assert_eq!((bench.job(job).await.state, emails_to(&address).len()), (JobState::Discarded, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_post_that_is_settled_before_the_letter_leaves_is_not_written_about(pool: PgPool) {
    let (bench, address) = bench(pool).await;
    let job = refused(&bench).await;
    bench.execute("update post_history set state = 'cancelled' where job_id = $1", job.0).await;
    bench.drain().await;
    assert_eq!(emails_to(&address).len(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_that_needs_its_user_is_written_about_once_each_time(pool: PgPool) {
    let (bench, address) = bench(pool).await;
    let account = bench.connect_page().await;
    let mut jobs = Vec::new();
    for caption in ["Two for one", "Three for two"] {
        jobs.push(bench.post(caption, account, None).await);
    }
    bench.sandbox.graph_error("publish_feed", 190, 460).await;
    bench.drain().await;
    for job in jobs {
        assert_eq!(bench.job(job).await.state, JobState::Suspended);
    }
    assert_eq!(emails_to(&address).len(), 1);
    assert!(subjects(&emails_to(&address))[0].ends_with("has to be connected again"));
    bench.connect_page().await;
    bench.drain().await;
    let again = due(&bench, false).await;
    bench.sandbox.graph_error("publish_feed", 190, 460).await;
    bench.run(again).await;
    bench.drain().await;
    assert_eq!(emails_to(&address).len(), 2, "{:?}", bench.job(again).await);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_a_post_that_may_have_gone_out_its_tenant_is_told_once(pool: PgPool) {
    let (bench, address) = bench(pool).await;
    due(&bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    bench.drain().await;
    assert_eq!(emails_to(&address).len(), 0, "it is still looked for");
    for _ in 0..3 {
        bench.drain_after(Duration::from_mins(4)).await;
    }
    assert_eq!(emails_to(&address).len(), 1);
    assert!(subjects(&emails_to(&address))[0].starts_with("Did a post on"));
}
