//! Tests that the audit log records all staff actions and keeps them.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{do_to, noop_later, other_tenant};

async fn actions(app: &TestApp, path: &str) -> Vec<String> {
    let log = app.get(path).await;
    let items: &Vec<Value> = log["items"].as_array().unwrap();
    items.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn each_action_is_written_down_where_it_belongs_and_a_refused_one_is_not(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (one, two) = (noop_later(&app).await, noop_later(&app).await);
    do_to(&app, one, "run-now").await;
    do_to(&app, one, "discard").await;
    do_to(&app, one, "discard").await;
    do_to(&app, one, "retry").await;
    app.post("/api/v1/jobs/bulk", json!({ "action": "cancel", "ids": [one, two, Uuid::now_v7()] })).await;
    app.post("/api/v1/jobs/bulk", json!({ "action": "cancel", "ids": [one, two], "dry_run": true })).await;
    let noops = |copies: u32| json!({ "tenant_id": app.bench.tenant_id, "kind": "noop", "args": {}, "copies": copies });
    let (_, made) = app.post("/api/v1/jobs", noops(3)).await;
    app.post("/api/v1/jobs", noops(0)).await;
    app.post("/api/v1/queues/media/pause", json!({})).await;
    app.post("/api/v1/queues/media/resume", json!({})).await;
    let own = ["job.create", "jobs.cancel", "job.retry", "job.discard", "job.run_now"];
    let path = format!("/api/v1/tenants/{}/audit-log", app.bench.tenant_id);
    assert_eq!(actions(&app, &path).await, own);
    let whole = [["queue.resume", "queue.pause"].as_slice(), own.as_slice()].concat();
    assert_eq!(actions(&app, "/api/v1/audit-log").await, whole);
    let log = app.get(&path).await;
    let create = &log["items"][0];
    assert_eq!((&create["object_id"], &create["details"]["copies"]), (&made["job_id"], &json!(3)));
    assert_eq!((&create["details"]["kind"], &create["actor_name"]), (&json!("noop"), &json!("test")));
    let bulk = &log["items"][1]["details"]["outcomes"]["cancelled"];
    assert_eq!(bulk.as_array().unwrap().len(), 2);
    let discard = &log["items"][3];
    assert_eq!((&discard["object_id"], &discard["details"]["before"]), (&json!(one), &json!("available")));
    let other = other_tenant(&app).await;
    assert!(actions(&app, &format!("/api/v1/tenants/{other}/audit-log")).await.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn it_goes_on_where_the_last_page_ended(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for _ in 0..5 {
        app.post("/api/v1/queues/media/pause", json!({})).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = app.get(&format!("/api/v1/audit-log?limit=2{after}")).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|entry| entry["id"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let count = seen.len();
    seen.dedup();
    assert_eq!((count, seen.len()), (5, 5));
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_changes_or_removes_an_entry(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    app.post("/api/v1/queues/media/pause", json!({})).await;
    for sql in ["update audit_log set action = 'x'", "delete from audit_log", "truncate audit_log"] {
        let mut tx = app.bench.engine.db.system().await.unwrap();
        let refused = sqlx::query(sql).execute(&mut *tx).await.unwrap_err();
        let words = refused.to_string();
        assert!(words.contains("append-only") || words.contains("permission denied"), "{sql}: {words}");
    }
    assert_eq!(actions(&app, "/api/v1/audit-log").await, ["queue.pause"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_entry_says_what_sort_of_actor_it_was_and_its_place_in_the_chain(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let printed = app.admin(&["create-operator", "--name", "Lisa"]).await;
    app.post("/api/v1/periodic/none/pause", json!({})).await;
    app.post("/api/v1/queues/media/pause", json!({})).await;
    let log = app.get("/api/v1/audit-log").await;
    let items = log["items"].as_array().unwrap();
    let said: Vec<_> = items.iter().map(|entry| (&entry["action"], &entry["actor_kind"], &entry["seq"])).collect();
    assert_eq!(
        json!(said),
        json!([["queue.pause", "key", 2], ["api_key.create", "command", 1]]),
        "what was refused has no place"
    );
    assert_eq!((&items[1]["details"]["name"], &items[1]["details"]["permissions"]), (&json!("Lisa"), &json!(["*"])));
    assert!(printed.contains(items[1]["details"]["prefix"].as_str().unwrap()));
    assert!(!log.to_string().contains(printed.trim()), "the log does not contain the key");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_command_says_whether_the_log_is_whole(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    noop_later(&app).await;
    for action in ["pause", "resume"] {
        app.post(&format!("/api/v1/queues/media/{action}"), json!({})).await;
    }
    let (code, said) = app.try_admin(&["verify-audit"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 entries in 1 chains"), "{said}");
    let head = said.split("ends at ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert_eq!(app.try_admin(&["verify-audit", "--known-head", head]).await.0, Some(0));
    let other = format!("2:{}", "00".repeat(32));
    let (code, said) = app.try_admin(&["verify-audit", "--known-head", &other]).await;
    assert_eq!(code, Some(1), "{said}");

    let sql = "set app.scope = 'system'; alter table audit_log disable trigger user;
        update audit_log set details = '{}' where seq = 1";
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    let (code, said) = app.try_admin(&["verify-audit"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("entry 1: was changed") && said.contains("broken in 1 places"), "{said}");

    for arguments in [
        ["verify-audit", "--database-url", "postgres://nobody@127.0.0.1:1/none"],
        ["verify-audit", "--encryption-keys", "no keys"],
        ["verify-audit", "--known-head", "no head"],
    ] {
        let (code, said) = app.try_admin(&arguments).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(!said.contains("no keys"), "{said}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn entries_are_filtered_by_action_object_and_actor(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = noop_later(&app).await;
    do_to(&app, job, "discard").await;
    do_to(&app, job, "retry").await;
    app.post("/api/v1/queues/media/pause", json!({})).await;
    let log = app.get("/api/v1/audit-log?limit=1").await;
    let actor = log["items"][0]["actor_id"].as_str().unwrap().to_owned();
    let own = format!("/api/v1/tenants/{}/audit-log", app.bench.tenant_id);
    for (query, expected) in [
        ("action=job.".to_owned(), vec!["job.retry", "job.discard"]),
        ("action=job.d".to_owned(), vec!["job.discard"]),
        ("object_type=queue".to_owned(), vec!["queue.pause"]),
        (format!("object_id={job}"), vec!["job.retry", "job.discard"]),
        (format!("actor_id={actor}&action=queue"), vec!["queue.pause"]),
        (format!("actor_id={}", Uuid::now_v7()), vec![]),
        ("until=2020-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        assert_eq!(actions(&app, &format!("/api/v1/audit-log?{query}")).await, expected, "{query}");
    }
    assert_eq!(actions(&app, &format!("{own}?object_type=job&limit=1")).await, ["job.retry"]);
    assert!(actions(&app, &format!("{own}?object_type=queue")).await.is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_chain_is_verified_and_shows_where_it_breaks(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let job = noop_later(&app).await;
    for action in ["discard", "retry", "discard"] {
        do_to(&app, job, action).await;
    }
    let path = format!("/api/v1/tenants/{}/audit-log/verification", app.bench.tenant_id);
    let whole = app.get(&path).await;
    assert_eq!(whole, json!({ "is_whole": true, "entries": 3, "of_before": 0, "breaks": [] }));
    let mut tx = app.bench.engine.db.system().await.unwrap();
    for sql in [
        "alter table audit_log disable trigger user",
        "update audit_log set object_id = 'x' where seq = 2",
        "alter table audit_log enable trigger user",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let broken = app.get(&path).await;
    assert_eq!((&broken["is_whole"], &broken["breaks"][0]["seq"]), (&json!(false), &json!(2)), "{broken}");
    assert_eq!(app.get("/api/v1/audit-log/verification").await["is_whole"], json!(true));
}
