//! Tests of finding the delivery of each post on a Page when responses were lost.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

use super::*;
use crate::{
    engine::{JobState, ledger},
    ids::{AssetId, EffectId, JobId},
    testing::Bench,
};

const PAGE: &str = "10158250000000101";
const CAPTION: &str = "Two for one on Tuesday #pizza";

async fn post(bench: &Bench, caption: &str, asset_id: Option<AssetId>) -> JobId {
    let account_id = bench.connect_page().await;
    bench.post(caption, account_id, asset_id).await
}

async fn lose(bench: &Bench, drop: &str) {
    bench.sandbox.fault("publish_feed", json!({ "drop": drop })).await;
}

async fn planted(bench: &Bench, post: Value) {
    let mut body = json!({ "page_id": PAGE, "message": CAPTION });
    body.as_object_mut().unwrap().extend(post.as_object().unwrap().clone());
    bench.sandbox.control("posts", body).await;
}

/// Returns another tenant over the same database and the same sandbox world.
async fn other_tenant(bench: &Bench, pool: PgPool) -> Bench {
    let mut other = Bench::new(pool).await;
    other.engine.services = bench.engine.services.clone();
    other
}

async fn remote_id(bench: &Bench, job: JobId) -> Option<String> {
    delivery(bench, job).await.remote_id
}

#[sqlx::test(migrations = "../migrations")]
async fn equal_texts_with_other_pictures_are_each_found_as_themselves(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let (never_left, out) = (bench.picture().await, bench.picture().await);
    lose(&bench, "before").await;
    let first = post(&bench, CAPTION, Some(never_left)).await;
    bench.drain().await;
    lose(&bench, "after").await;
    let second = post(&bench, CAPTION, Some(out)).await;
    bench.drain().await;
    bench.drain_after(Duration::from_secs(6)).await;
    assert_eq!((bench.job(second).await.state, remote_id(&bench, first).await), (JobState::Completed, None));
    assert_eq!(remote_id(&bench, second).await.as_deref(), bench.sandbox.effects().await[0]["post_id"].as_str());
    assert_eq!(bench.job(first).await.suspended_on.as_deref(), Some("reconcile"), "its own picture is nowhere");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_post_with_hidden_pictures_is_not_taken_for_an_equal_text_with_another(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for (hidden, has_picture) in [("attachment_targets", true), ("attachments", true), ("attachments", false)] {
        bench.sandbox.control("switches", json!({ "hidden_fields": [hidden] })).await;
        let (never_left, out) = (bench.picture().await, bench.picture().await);
        lose(&bench, "before").await;
        let first = post(&bench, hidden, has_picture.then_some(never_left)).await;
        bench.drain().await;
        lose(&bench, "after").await;
        let second = post(&bench, hidden, Some(out)).await;
        bench.drain().await;
        for _ in 0..3 {
            bench.drain_after(Duration::from_secs(6)).await;
        }
        assert_eq!(remote_id(&bench, first).await, None, "{hidden}: its own is nowhere");
        assert_eq!(bench.job(second).await.state, JobState::Completed, "{hidden}: found by its picture");
        bench.drain_after(Duration::from_mins(11)).await;
        assert_eq!(effect_state(&bench, first).await, "unknown", "{hidden}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_picture_is_found_whatever_the_feed_hides(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let all_that_prove = json!(["attachments", "page_story_id"]);
    for hidden in [
        json!(["attachments"]),
        json!(["attachment_targets"]),
        json!(["application", "from", "attachments"]),
        all_that_prove,
    ] {
        bench.sandbox.control("switches", json!({ "hidden_fields": hidden })).await;
        lose(&bench, "after").await;
        let job = due(&bench, true).await;
        bench.drain().await;
        bench.drain_after(Duration::from_secs(2)).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed, "{hidden}");
    }
    assert_eq!(bench.sandbox.calls("publish_feed").await, 4);
}

#[sqlx::test(migrations = "../migrations")]
async fn equal_texts_whose_pictures_nothing_shows_are_for_a_person(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.sandbox.control("switches", json!({ "hidden_fields": ["attachments", "page_story_id"] })).await;
    let (never_left, out) = (bench.picture().await, bench.picture().await);
    lose(&bench, "after").await;
    let first = post(&bench, CAPTION, Some(out)).await;
    bench.drain().await;
    bench.drain_after(Duration::from_secs(30)).await;
    assert_eq!(bench.job(first).await.state, JobState::Completed, "no other call had this text");
    lose(&bench, "before").await;
    let second = post(&bench, CAPTION, Some(never_left)).await;
    bench.drain().await;
    lose(&bench, "after").await;
    let third = post(&bench, CAPTION, Some(out)).await;
    bench.drain().await;
    for wait in [Duration::from_secs(30), Duration::from_mins(9), Duration::from_mins(2), Duration::from_hours(2)] {
        bench.drain_after(wait).await;
    }
    for job in [second, third] {
        assert_eq!((remote_id(&bench, job).await, effect_state(&bench, job).await.as_str()), (None, "unknown"));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_was_answered_and_not_recorded_is_not_taken_by_an_equal_call(pool: PgPool) {
    let bench = Bench::new(pool.clone()).await;
    let first = post(&bench, CAPTION, None).await;
    let id = delivery(&bench, first).await.id;
    let refuse = format!("alter table post_history add constraint not_now check (remote_id is null or id <> '{id}')");
    sqlx::query(AssertSqlSafe(refuse)).execute(&pool).await.unwrap();
    bench.drain().await;
    assert_eq!((bench.sandbox.effects().await.len(), remote_id(&bench, first).await), (1, None));
    let other = other_tenant(&bench, pool.clone()).await;
    lose(&bench, "before").await;
    let second = post(&other, CAPTION, None).await;
    other.drain().await;
    other.drain_after(Duration::from_mins(5)).await;
    assert_eq!(remote_id(&other, second).await, None, "what is out is the first's");
    sqlx::query("alter table post_history drop constraint not_now").execute(&pool).await.unwrap();
    bench.drain_after(Duration::from_hours(1)).await;
    assert_eq!(remote_id(&bench, first).await.as_deref(), bench.sandbox.effects().await[0]["post_id"].as_str());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_staged_picture_is_used_again_and_one_of_a_cancelled_post_is_deleted(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, true).await;
    bench.sandbox.graph_error("publish_feed", 32, 0).await;
    bench.drain().await;
    bench.drain_after(Duration::from_mins(11)).await;
    assert_eq!((bench.job(job).await.state, bench.sandbox.calls("stage_photo").await), (JobState::Completed, 1));

    let cancelled = due(&bench, true).await;
    bench.sandbox.graph_error("publish_feed", 32, 0).await;
    bench.drain().await;
    let mut tx = bench.engine.db.system().await.unwrap();
    assert!(ledger::cancel(&mut tx, crate::kinds::KINDS, cancelled).await.unwrap());
    tx.commit().await.unwrap();
    bench.drain_after(Duration::from_mins(11)).await;
    assert_eq!(bench.sandbox.calls("delete_post").await, 1);
    bench.retry(cancelled).await;
    bench.drain().await;
    assert_eq!((bench.job(cancelled).await.state, bench.sandbox.calls("stage_photo").await), (JobState::Completed, 3));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_picture_that_was_staged_days_ago_is_uploaded_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = due(&bench, true).await;
    bench.sandbox.graph_error("publish_feed", 190, 460).await;
    bench.drain().await;
    bench.engine.db.shift_clock(Duration::from_hours(50));
    bench.connect_page().await;
    bench.drain().await;
    assert_eq!((bench.job(job).await.state, bench.sandbox.calls("stage_photo").await), (JobState::Completed, 2));
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_elses_equal_post_is_not_taken_for_ours(pool: PgPool) {
    let bench = Bench::new(pool).await;
    planted(&bench, json!({ "offset_seconds": -30, "application": { "id": "100200300400500", "name": "Sandbox" } }))
        .await;
    lose(&bench, "before").await;
    let job = due(&bench, false).await;
    bench.drain().await;
    planted(&bench, json!({ "application": { "id": "42", "name": "Another app" } })).await;
    planted(&bench, json!({ "from": { "id": "7", "name": "Eve" } })).await;
    planted(&bench, json!({})).await;
    bench.drain_after(Duration::from_secs(2)).await;
    assert_eq!((bench.job(job).await.state, remote_id(&bench, job).await), (JobState::Suspended, None));
    bench.drain_after(Duration::from_mins(11)).await;
    assert_eq!(effect_state(&bench, job).await, "unknown");
}

#[sqlx::test(migrations = "../migrations")]
async fn several_that_fit_equally_are_listed_for_a_person(pool: PgPool) {
    let bench = Bench::new(pool).await;
    lose(&bench, "after").await;
    let job = due(&bench, false).await;
    bench.drain().await;
    planted(&bench, json!({ "application": { "id": "100200300400500", "name": "Sandbox" } })).await;
    bench.drain_after(Duration::from_secs(2)).await;
    bench.drain_after(Duration::from_mins(11)).await;
    assert_eq!(effect_state(&bench, job).await, "unknown");
    let mut tx = bench.engine.db.system().await.unwrap();
    let effect = ledger::list_effects(&mut tx, bench.tenant_id, job).await.unwrap().remove(0);
    let candidates = effect.evidence["candidates"].as_array().unwrap();
    assert_eq!((candidates.len(), effect.complete_looks), (2, 0));
    let ours = bench.sandbox.effects().await[0]["post_id"].clone();
    assert!(candidates.iter().any(|candidate| candidate["id"] == ours));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_provider_an_hour_off_is_read_by_its_own_clock(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for seconds in [-3600, 3600] {
        bench.sandbox.control("clock", json!({ "skew_seconds": seconds })).await;
        lose(&bench, "after").await;
        let job = due(&bench, false).await;
        bench.drain().await;
        bench.drain_after(Duration::from_secs(2)).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed, "{seconds}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn texts_are_found_as_networks_show_them(pool: PgPool) {
    let bench = Bench::new(pool).await;
    for (alteration, caption) in [
        ("crlf_to_lf", "Two\r\nlines"),
        ("nfc", "Cafe\u{301} open"),
        ("nfd", "Caf\u{e9} closed"),
        ("strip_zero_width", "Zero\u{200b}width"),
        ("strip_variation_selectors", "Heart \u{2764}\u{fe0f}"),
        ("collapse_spaces", "Two  spaces"),
        ("trim_ends", "  Ends  "),
        ("strip_link_params", "See https://example.com/menu?utm_source=fb&id=7"),
        ("add_link_params", "See https://example.com/menu?id=8"),
    ] {
        bench.sandbox.control("switches", json!({ "text_alterations": [alteration] })).await;
        lose(&bench, "after").await;
        let job = post(&bench, caption, None).await;
        bench.drain().await;
        bench.drain_after(Duration::from_secs(2)).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed, "{alteration}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_feed_without_cursors_is_followed_to_its_end(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let switches = json!({ "feed_paging": "next_only", "feed_page_limit": 1, "empty_middle_page": true });
    bench.sandbox.control("switches", switches).await;
    lose(&bench, "after").await;
    let job = due(&bench, false).await;
    bench.drain().await;
    for number in 0..3 {
        planted(&bench, json!({ "message": format!("Something else {number}") })).await;
    }
    bench.drain_after(Duration::from_secs(2)).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn two_tenants_with_one_page_do_not_claim_one_post(pool: PgPool) {
    let bench = Bench::new(pool.clone()).await;
    lose(&bench, "before").await;
    let lost = due(&bench, false).await;
    bench.drain().await;
    let other = other_tenant(&bench, pool).await;
    let answered = due(&other, false).await;
    other.drain().await;
    assert_eq!(other.job(answered).await.state, JobState::Completed);
    bench.drain_after(Duration::from_secs(2)).await;
    assert_eq!(bench.job(lost).await.suspended_on.as_deref(), Some("reconcile"), "that one is the other tenant's");
    other.execute("delete from effects where tenant_id = $1", other.tenant_id.0).await;
    bench.drain_after(Duration::from_mins(11)).await;
    assert_eq!(effect_state(&bench, lost).await, "unknown", "what is taken stays so when its tenant is erased");
}

#[sqlx::test(migrations = "../migrations")]
async fn two_tenants_with_lost_replies_find_one_post_each(pool: PgPool) {
    let bench = Bench::new(pool.clone()).await;
    let other = other_tenant(&bench, pool).await;
    bench.sandbox.fault("publish_feed", json!({ "times": 2, "drop": "after" })).await;
    let jobs = [(&bench, due(&bench, false).await), (&other, due(&other, false).await)];
    bench.drain().await;
    for _ in 0..3 {
        bench.drain_after(Duration::from_secs(6)).await;
    }
    let mut found = Vec::new();
    for (bench, job) in jobs {
        found.push(remote_id(bench, job).await.expect("it is out"));
    }
    assert_ne!(found[0], found[1]);
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let seen: i64 = sqlx::query_scalar("select count(*) from taken_remotes").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(seen, 0, "a tenant asks, and sees nothing");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_person_swaps_two_claims(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let jobs = [post(&bench, "One", None).await, post(&bench, "Two", None).await];
    bench.drain().await;
    let before = [remote_id(&bench, jobs[0]).await.unwrap(), remote_id(&bench, jobs[1]).await.unwrap()];
    let mut tx = bench.engine.db.system().await.unwrap();
    let mut effects = Vec::new();
    for job in jobs {
        effects.push(EffectId(ledger::list_effects(&mut tx, bench.tenant_id, job).await.unwrap()[0].id));
    }
    let swapped = ledger::swap_claims(&mut tx, jobs[0], effects[0], effects[1], "test").await.unwrap();
    assert_eq!((swapped.other_job_id, &swapped.remote_id), (jobs[1], &before[1]));
    store::swap_published(&mut tx, bench.tenant_id, jobs[0], jobs[1]).await.unwrap();
    assert!(ledger::swap_claims(&mut tx, jobs[0], effects[0], effects[0], "test").await.is_err());
    tx.commit().await.unwrap();
    assert_eq!(remote_id(&bench, jobs[0]).await.as_ref(), Some(&before[1]));
    assert_eq!(remote_id(&bench, jobs[1]).await.as_ref(), Some(&before[0]));
}
