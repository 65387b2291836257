//! Tests of errors whose call succeeded, and of errors while looking for a lost post.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::*;
use crate::{
    engine::{AttemptOutcome, ledger},
    ids::JobId,
    testing::Bench,
};

async fn states(bench: &Bench, job: JobId) -> [String; 3] {
    [
        bench.job(job).await.state.name().to_owned(),
        delivery(bench, job).await.state.name().to_owned(),
        effect_state(bench, job).await,
    ]
}

/// Makes a published post whose response was lost.
async fn lost(bench: &Bench) -> JobId {
    let job = due(bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "after" })).await;
    bench.drain().await;
    job
}

async fn parked_until(bench: &Bench) -> Option<DateTime<Utc>> {
    let mut tx = bench.engine.db.system().await.unwrap();
    crate::engine::parked::list(&mut tx, None, None, 1).await.unwrap().first().map(|parked| parked.until)
}

#[sqlx::test(migrations = "../migrations")]
async fn an_error_that_carries_the_success_is_the_success(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let mut published = 0;
    for (status, code, subcode) in [
        (400, 4, 0),
        (400, 10, 0),
        (400, 100, 33),
        (400, 190, 463),
        (403, 200, 0),
        (400, 2, 0),
        (503, 2, 0),
        (500, 1, 0),
    ] {
        let job = due(&bench, false).await;
        let error = json!({ "code": code, "subcode": subcode, "original_response": true });
        bench.sandbox.fault("publish_feed", json!({ "status": status, "graph_error": error })).await;
        bench.drain().await;
        published += 1;
        assert_eq!(states(&bench, job).await, ["completed", "published", "confirmed"], "{status} {code}");
        let effects = bench.sandbox.effects().await;
        assert_eq!((effects.len(), bench.sandbox.calls("publish_feed").await), (published, published as u64));
        assert_eq!(delivery(&bench, job).await.remote_id.as_deref(), effects[published - 1]["post_id"].as_str());
        assert_eq!(bench.sandbox.calls("read_feed").await, 0, "nothing was unclear");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_address_of_a_post_is_read_afterwards_and_never_leads_back(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for (fault, has_name) in [(None, true), (Some(json!({ "status": 500 })), false)] {
        let job = due(&bench, false).await;
        if let Some(fault) = fault {
            bench.sandbox.fault("read_post", fault).await;
        }
        bench.drain().await;
        assert_eq!(states(&bench, job).await, ["completed", "published", "confirmed"]);
        let permalink = delivery(&bench, job).await.permalink.unwrap();
        assert_eq!(permalink.contains("/posts/"), has_name, "{permalink}");
    }
    assert_eq!(bench.sandbox.calls("publish_feed").await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_error_of_a_look_says_nothing_about_the_post(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for (code, subcode) in [(10, 0), (100, 0), (100, 33), (200, 0), (4, 0), (190, 460), (2, 0)] {
        let job = lost(&bench).await;
        bench.sandbox.graph_error("read_feed", code, subcode).await;
        bench.drain_after(Duration::from_secs(2)).await;
        let looked_for = delivery(&bench, job).await;
        assert_eq!(
            (looked_for.state.name(), effect_state(&bench, job).await.as_str()),
            ("submitting", "sent"),
            "{code}"
        );
        assert_eq!((looked_for.blocked_by, bench.job(job).await.state), (None, JobState::Suspended), "{code}");
        assert!(looked_for.error.unwrap().starts_with("The Page could not be read"), "{code}");
        assert!(looked_for.looked_for_since < looked_for.next_look_at, "{code}");
        if code == 190 {
            bench.connect_page().await;
        }
        bench.drain_after(Duration::from_mins(16)).await;
        assert_eq!(states(&bench, job).await, ["completed", "published", "confirmed"], "{code}");
    }
    assert_eq!(bench.sandbox.effects().await.len(), 7, "each is out once");
}

#[sqlx::test(migrations = "../migrations")]
async fn looks_become_rarer_and_are_one_attempt(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    bench.drain().await;
    let mut waits = Vec::new();
    for seconds in [2, 6, 11, 21, 41] {
        bench.drain_after(Duration::from_secs(seconds)).await;
        let row = bench.job(job).await;
        assert_eq!(row.suspended_on.as_deref(), Some("reconcile"));
        waits.push((row.run_at.unwrap() - bench.now().await).num_seconds() + 1);
    }
    assert!(waits.is_sorted() && waits[4] > 60, "{waits:?}");
    let mut tx = bench.engine.db.system().await.unwrap();
    let attempts = ledger::list_attempts(&mut tx, bench.tenant_id, job).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].outcome, attempts[0].looks), (1, AttemptOutcome::Reconcile, 5));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_that_cannot_be_read_for_a_day_makes_it_unknown(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = lost(&bench).await;
    bench.sandbox.fault("read_feed", json!({ "status": 500, "times": 1000 })).await;
    bench.drain_after(Duration::from_secs(2)).await;
    bench.drain_after(Duration::from_hours(23)).await;
    assert_eq!(states(&bench, job).await, ["suspended", "submitting", "sent"], "an outage decides nothing");
    bench.drain_after(Duration::from_hours(2)).await;
    assert_eq!(states(&bench, job).await, ["suspended", "unknown", "unknown"]);
    assert!(delivery(&bench, job).await.error.unwrap().contains("could not be read"));
    assert_eq!(bench.sandbox.calls("publish_feed").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_says_how_long_it_is_looked_for_and_what_then(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let sql = "insert into tenant_settings (tenant_id, unknown_after_minutes, on_unknown) values ($1, 30, 'fail')";
    bench.execute(sql, bench.tenant_id.0).await;
    let job = due(&bench, false).await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    bench.drain().await;
    bench.drain_after(Duration::from_mins(20)).await;
    assert_eq!(states(&bench, job).await, ["suspended", "submitting", "sent"]);
    bench.drain_after(Duration::from_mins(11)).await;
    assert_eq!(states(&bench, job).await, ["discarded", "failed", "failed"]);
    assert!(delivery(&bench, job).await.error.unwrap().contains("not sent again"));
    bench.retry(job).await;
    bench.drain().await;
    assert_eq!(bench.sandbox.calls("publish_feed").await, 1, "nothing is sent again by itself, or under that key");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_is_parked_for_as_long_as_the_network_says(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for (usage, minutes) in [
        (json!({ "regain_access_minutes": 27, "business_percent": 100 }), 27),
        (json!({ "retry_after": "7200" }), 120),
        (json!({ "retry_after": "1" }), 1),
        (json!({ "app_percent": 100 }), 60),
        (json!({}), 10),
    ] {
        let job = due(&bench, false).await;
        let mut fault = json!({ "graph_error": { "code": 80_001 } });
        if usage != json!({}) {
            fault["usage"] = usage.clone();
        }
        bench.sandbox.fault("publish_feed", fault).await;
        bench.drain().await;
        let left = parked_until(&bench).await.unwrap() - bench.now().await;
        assert!((left.num_seconds() - minutes * 60).abs() < 60, "{usage}: {left}");
        bench.drain_after(Duration::from_secs(u64::try_from(minutes).unwrap() * 60 + 1)).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed, "{usage}");
    }
}
