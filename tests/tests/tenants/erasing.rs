//! Tests of erasing a tenant.

use std::time::Duration;

use sqlx::PgPool;
use tests::until;

use super::*;

async fn erase(app: &TestApp, token: &str, tenant_id: TenantId, name: &str) -> Answered {
    call(app, token, Method::DELETE, &format!("tenants/{tenant_id}?confirm={name}"), json!({})).await
}

#[sqlx::test(migrations = "../migrations")]
async fn owners_and_operators_erase_a_tenant_and_nobody_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = other_tenant(&app, Plan::Basic).await;
    let (owner, admin) = (person(&app, &[(tenant, "owner")]).await, person(&app, &[(tenant, "admin")]).await);
    let member = person(&app, &[(tenant, "member")]).await;
    let key = tenant_key(&app, tenant).await;
    assert_problem(&erase(&app, &member, tenant, "Hults%20Cafe").await, 403, "missing_permission");
    assert_problem(&erase(&app, &admin, tenant, "Hults%20Cafe").await, 403, "owners_only");
    assert_problem(&erase(&app, &key, tenant, "Hults%20Cafe").await, 403, "people_only");
    assert_problem(&erase(&app, &owner, tenant, "Hults").await, 422, "not_confirmed");
    assert_eq!(call(&app, &key, Method::GET, "jobs", json!({})).await.0, 200);

    let (status, accepted) = erase(&app, &owner, tenant, "Hults%20Cafe").await;
    assert_eq!((status.as_u16(), &accepted["tenant_id"]), (202, &json!(tenant)), "{accepted}");
    assert_eq!(call(&app, &key, Method::GET, "jobs", json!({})).await.0, 401, "at once");
    assert_problem(&call(&app, &owner, Method::GET, &format!("tenants/{tenant}"), json!({})).await, 404, "not_found");
    assert_eq!(items(&call(&app, &owner, Method::GET, "tenants", json!({})).await), []);
    assert_problem(&erase(&app, &app.key, tenant, "Hults%20Cafe").await, 404, "not_found");

    app.bench.drain().await;
    let job = app.get(&format!("/api/v1/jobs/{}", accepted["job_id"].as_str().unwrap())).await;
    assert_eq!((&job["state"], &job["tenant_id"]), (&json!("completed"), &json!(TenantId::SYSTEM)), "{job}");
    assert_eq!((&job["progress"]["done"], &job["progress"]["message"]), (&job["progress"]["total"], &json!("erased")));
    let log = app.get("/api/v1/audit-log").await;
    let actions: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["tenant.erased", "tenant.erase", "tenant.delete"]);
    let body = json!({ "tenant_id": tenant, "kind": "noop", "args": {} });
    assert_problem(&app.post("/api/v1/jobs", body).await, 404, "not_found");
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_enqueues_the_erasing_of_a_tenant_by_hand(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let args = json!({ "tenant_id": app.bench.tenant_id });
    let body = json!({ "tenant_id": app.bench.tenant_id, "kind": "erase_tenant", "args": args });
    assert_problem(&app.post("/api/v1/jobs", body).await, 422, "bad_kind");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_worker_that_is_killed_in_the_middle_leaves_the_rest_to_another(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let many = "insert into job_history (id, tenant_id, kind, queue, args, state, priority, due_at, attempt, failures, crashes,
          poison, depth, failed_children, counted, created_at, ended_at)
        select gen_random_uuid(), $1, 'noop', 'default', '{}', 'completed', 2, now(), 1, 0, 0, 0, 0, 0, true, now(), now()
        from generate_series(1, 10000)";
    for _ in 0..6 {
        app.bench.execute(many, tenant.0).await;
    }
    let asleep = json!({ "tenant_id": tenant, "kind": "fault_probe", "args": { "what": "sleep", "ms": 50_000 } });
    assert_eq!(app.post("/api/v1/jobs", asleep).await.0, 202);
    let worker = app.worker(&[]).await;
    app.wait_until_some("fault_probe", "executing", 1).await;
    let (_, accepted) = erase(&app, &app.key, tenant, "Krusty%20Pizza").await;
    let path = format!("/api/v1/jobs/{}", accepted["job_id"].as_str().unwrap());
    until("rows are deleted", Duration::from_mins(1), async || {
        app.get(&path).await["result"]["rows"].as_i64().filter(|rows| *rows > 0)
    })
    .await;
    worker.kill().await;
    let cut = app.get(&path).await;
    assert_eq!(cut["state"], "executing", "{cut}");
    let _successor = app.worker(&[]).await;
    let ended = until("it is erased", Duration::from_mins(1), async || {
        Some(app.get(&path).await).filter(|job| job["state"] == "completed")
    })
    .await;
    assert!(ended["attempt"].as_i64() > Some(1) && ended["result"]["rows"].as_i64() >= Some(60_000), "{ended}");
    assert_eq!(app.count_jobs("noop").await, []);
    assert_eq!(app.get("/api/v1/tenants").await["items"], json!([]));
}
