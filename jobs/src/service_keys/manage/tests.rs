use std::{collections::BTreeMap, time::Duration};

use chrono::NaiveDate;
use sqlx::PgPool;

use super::*;
use crate::{
    calendar::{self, NewCalendar},
    connections::{
        CheckTokens,
        store::{AccountStatus, list_accounts},
    },
    engine::JobState,
    ids::JobId,
    mail::{Email, SendMail},
    testing::Bench,
};

const PUBLER_KEY: &str = "publer-sandbox-key";

fn own(text: &str) -> OwnKey {
    OwnKey::parse(text).unwrap()
}

async fn put_own_openai(bench: &Bench, text: &str) -> ServiceKeyRow {
    let (services, actor, key) = (&bench.engine.services, Actor::command_line(), own(text));
    check_openai(services, &key).await.unwrap();
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let row = put_openai(&mut tx, services, &actor, bench.tenant_id, &key).await.unwrap();
    tx.commit().await.unwrap();
    row
}

async fn put_own_publer(bench: &Bench, text: &str, chosen: Option<&str>) -> ServiceKeyRow {
    let (services, actor, key) = (&bench.engine.services, Actor::command_line(), own(text));
    let workspaces = check_publer(services, &key).await.unwrap();
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let row = put_publer(&mut tx, services, &actor, bench.tenant_id, (&key, &workspaces, chosen)).await.unwrap();
    tx.commit().await.unwrap();
    row
}

async fn remove(bench: &Bench, service: Service) -> bool {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let actor = Actor::command_line();
    let is_gone = delete(&mut tx, &bench.engine.services, &actor, bench.tenant_id, service).await.unwrap();
    tx.commit().await.unwrap();
    is_gone
}

async fn stored(bench: &Bench, service: Service) -> Option<ServiceKeyRow> {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    store::get(&mut tx, bench.tenant_id, service).await.unwrap()
}

/// Returns the accounts by name, each with its status.
async fn accounts(bench: &Bench) -> BTreeMap<String, AccountStatus> {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let rows = list_accounts(&mut tx, bench.tenant_id).await.unwrap();
    rows.into_iter().map(|row| (row.name, row.status)).collect()
}

async fn live_tokens(bench: &Bench) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select count(*) from oauth_tokens where access_token <> ''";
    sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
}

async fn told(bench: &Bench) -> usize {
    let mails = bench.enqueued::<SendMail>().await;
    mails.iter().filter(|mail| matches!(mail.email, Email::KeyRefused { .. }) && mail.to.is_none()).count()
}

async fn new_calendar(bench: &Bench) -> JobId {
    let new = NewCalendar { month: NaiveDate::from_ymd_opt(2027, 2, 1).unwrap(), posts: 1, brief: "x".to_owned() };
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let (services, actor) = (&bench.engine.services, Actor::command_line());
    let calendar = calendar::create(&mut tx, services, &actor, bench.tenant_id, &new).await.unwrap();
    tx.commit().await.unwrap();
    calendar.job_id.unwrap()
}

async fn accept_only(bench: &Bench, key: &str) {
    bench.sandbox.control("switches", json!({ "api_key": key })).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn ai_writes_with_the_tenants_own_key_and_with_no_other(pool: PgPool) {
    let bench = Bench::new(pool).await;
    accept_only(&bench, "sk-own-0123456789").await;
    let row = put_own_openai(&bench, "sk-own-0123456789").await;
    assert_eq!((row.last_four.as_str(), row.refused_at), ("6789", None));
    assert!(row.secret.starts_with("v1.test.") && !row.secret.contains("sk-own"), "{}", row.secret);
    let job = new_calendar(&bench).await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Completed, "the platform's key is refused here");
    assert_eq!(bench.sandbox.calls("list_models").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_key_and_a_service_that_is_away_are_told_apart(pool: PgPool) {
    let bench = Bench::new(pool).await;
    accept_only(&bench, "sk-own-0123456789").await;
    let services = &bench.engine.services;
    let wrong = check_openai(services, &own("sk-another-key")).await;
    assert!(matches!(wrong, Err(KeyError::Refused(Service::Openai))), "{wrong:?}");
    for fault in [json!({ "status": 503, "body": "<html>" }), json!({ "drop": "after" }), json!({ "status": 429 })] {
        bench.sandbox.fault("list_models", fault).await;
        let away = check_openai(services, &own("sk-own-0123456789")).await;
        assert!(matches!(away, Err(KeyError::NoAnswer(Service::Openai))), "{away:?}");
    }
    let wrong = check_publer(services, &own("another-key")).await;
    assert!(matches!(wrong, Err(KeyError::Refused(Service::Publer))), "{wrong:?}");
    for fault in
        [json!({ "status": 502, "body": "<html>" }), json!({ "drop": "before" }), json!({ "truncate_body": 3 })]
    {
        bench.sandbox.fault("publer_workspaces", fault).await;
        let away = check_publer(services, &own(PUBLER_KEY)).await;
        assert!(matches!(away, Err(KeyError::NoAnswer(Service::Publer))), "{away:?}");
    }
    let narrow = json!({ "key": PUBLER_KEY, "user_id": "5f0000000000000000000001", "scopes": ["posts"] });
    bench.sandbox.control("publer", json!({ "keys": [narrow] })).await;
    assert!(matches!(check_publer(services, &own(PUBLER_KEY)).await, Err(KeyError::Narrow(Service::Publer))));
    bench.sandbox.control("publer", json!({ "workspaces": [] })).await;
    let all = json!({ "key": PUBLER_KEY, "user_id": "5f0000000000000000000001" });
    bench.sandbox.control("publer", json!({ "keys": [all] })).await;
    assert!(matches!(check_publer(services, &own(PUBLER_KEY)).await, Err(KeyError::NoWorkspace)));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_that_turns_invalid_blocks_the_work_and_people_are_told_once(pool: PgPool) {
    let bench = Bench::new(pool).await;
    put_own_openai(&bench, "sk-own-0123456789").await;
    accept_only(&bench, "sk-new-0123456789").await;
    let jobs = [new_calendar(&bench).await, new_calendar(&bench).await];
    for job in jobs {
        let row = bench.run(job).await;
        assert_eq!((row.state, row.failures), (JobState::Scheduled, 0));
        let error = row.error.unwrap();
        assert!(error["message"].as_str().unwrap().contains("refuses your own key"), "{error}");
    }
    assert_eq!((told(&bench).await, bench.sandbox.calls("chat_completion").await), (1, 1), "asked and told once");
    assert!(stored(&bench, Service::Openai).await.unwrap().refusal.is_some());
    put_own_openai(&bench, "sk-new-0123456789").await;
    bench.drain().await;
    for job in jobs {
        assert_eq!(bench.job(job).await.state, JobState::Completed, "at once, with the other key");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn without_credit_the_work_waits_and_without_a_key_the_platforms_is_used(pool: PgPool) {
    let bench = Bench::new(pool).await;
    put_own_openai(&bench, "sk-own-0123456789").await;
    bench.sandbox.fault("chat_completion", json!({ "scenario": "insufficient_quota" })).await;
    let job = new_calendar(&bench).await;
    let error = bench.run(job).await.error.unwrap();
    assert!(error["message"].as_str().unwrap().contains("has credit"), "{error}");
    assert_eq!((told(&bench).await, stored(&bench, Service::Openai).await.unwrap().refused_at), (0, None));
    accept_only(&bench, "sk-sandbox").await;
    assert!(remove(&bench, Service::Openai).await);
    assert!(!remove(&bench, Service::Openai).await, "twice is harmless");
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_of_publer_connects_the_accounts_of_its_only_workspace(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let row = put_own_publer(&bench, PUBLER_KEY, None).await;
    assert_eq!(row.workspace_id.as_deref(), Some("600000000000000000000001"));
    bench.drain().await;
    let active = ["Aurora (linkedin)", "Aurora (pinterest)"].map(|name| (name.to_owned(), AccountStatus::Active));
    assert_eq!(accounts(&bench).await, BTreeMap::from(active));
    bench.engine.db.shift_clock(Duration::from_hours(25));
    let job = bench.enqueue_for_system(&CheckTokens::default()).await;
    assert_eq!(bench.run(job).await.result.unwrap()["tokens"], 1, "the key is checked each day");

    assert!(remove(&bench, Service::Publer).await);
    assert!(accounts(&bench).await.values().all(|status| *status == AccountStatus::Disconnected));
    assert_eq!((live_tokens(&bench).await, stored(&bench, Service::Publer).await.is_none()), (0, true));
    put_own_publer(&bench, PUBLER_KEY, None).await;
    bench.drain().await;
    assert!(accounts(&bench).await.values().all(|status| *status == AccountStatus::Active), "connected again");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_of_several_workspaces_is_chosen_and_another_one_later(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let user = "5f0000000000000000000001";
    let account = |id: &str| json!([{ "id": id, "provider": "pinterest", "name": id }]);
    let workspaces = json!([
        { "id": "one", "name": "One", "members": [user], "accounts": account("a") },
        { "id": "two", "name": "Two", "members": [user], "accounts": account("b") },
    ]);
    bench.sandbox.control("publer", json!({ "workspaces": workspaces })).await;
    assert_eq!(put_own_publer(&bench, PUBLER_KEY, None).await.workspace_id, None);
    bench.drain().await;
    assert_eq!(accounts(&bench).await, BTreeMap::new(), "none is chosen yet");
    let choose = async |id: &str| {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let (services, actor) = (&bench.engine.services, Actor::command_line());
        let chosen = choose_workspace(&mut tx, services, &actor, bench.tenant_id, id).await;
        tx.commit().await.unwrap();
        bench.drain().await;
        chosen
    };
    assert!(matches!(choose("three").await, Err(KeyError::OtherWorkspace)));
    choose("one").await.unwrap().unwrap();
    let status = |name: &str| format!("{name} (pinterest)");
    assert_eq!(accounts(&bench).await, BTreeMap::from([(status("a"), AccountStatus::Active)]));
    choose("two").await.unwrap().unwrap();
    let both = [(status("a"), AccountStatus::Disconnected), (status("b"), AccountStatus::Active)];
    assert_eq!(accounts(&bench).await, BTreeMap::from(both));
    assert_eq!(live_tokens(&bench).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_of_publer_that_turns_invalid_is_told_once_for_all_its_accounts(pool: PgPool) {
    let bench = Bench::new(pool).await;
    put_own_publer(&bench, PUBLER_KEY, None).await;
    bench.drain().await;
    bench.sandbox.control("publer", json!({ "keys": [] })).await;
    for _ in 0..2 {
        bench.engine.db.shift_clock(Duration::from_hours(25));
        let job = bench.enqueue_for_system(&CheckTokens::default()).await;
        bench.run(job).await;
        bench.engine.db.shift_clock(Duration::from_hours(1));
        for check in bench.enqueued::<crate::connections::CheckToken>().await {
            let id = bench.enqueue(&check).await;
            assert_eq!(bench.run(id).await.state, JobState::Discarded);
        }
    }
    assert!(accounts(&bench).await.values().all(|status| *status == AccountStatus::NeedsReauth));
    let mails = bench.enqueued::<SendMail>().await;
    assert_eq!((told(&bench).await, mails.len()), (1, 1), "about the key, not about each account");
    assert!(stored(&bench, Service::Publer).await.unwrap().refusal.unwrap().contains("Publer refuses the key"));
}
