//! Tests of who has to have a second factor, and of those who lost it.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};

use super::{
    assert_problem, login,
    members::{join, me, tenant_of},
    second_factor::{NEXT_CODE, first_step, person, second_step},
};

async fn require(app: &TestApp, owner: &SignedIn, tenant: &str, is_required: bool) {
    let patch = json!({ "requires_second_factor": is_required });
    let (status, settings) = app.call(owner, Method::PATCH, &format!("tenants/{tenant}"), patch).await;
    assert_eq!((status.as_u16(), &settings["requires_second_factor"]), (200, &json!(is_required)), "{settings}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_that_requires_it_lets_nobody_in_without(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (owner, _) = person(&mut app, "owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    let ada = app.person("ada@example.com").await;
    let own = tenant_of(&app, &ada).await;
    join(&app, &owner, &tenant, "ada@example.com", "owner").await;
    let path = format!("tenants/{tenant}");
    assert_eq!(app.call(&ada, Method::GET, &path, Value::Null).await.0, 200);
    assert_eq!(app.call(&ada, Method::POST, &format!("{path}/switch"), Value::Null).await.0, 200);

    require(&app, &owner, &tenant, true).await;
    for (method, path) in [
        (Method::GET, path.as_str()),
        (Method::POST, &format!("{path}/switch")),
        (Method::POST, &format!("{path}/leave")),
        (Method::GET, &format!("jobs?tenant_id={tenant}")),
        (Method::GET, "jobs"),
        (Method::GET, "posts"),
    ] {
        let refused = app.call(&ada, method, path, json!({})).await;
        assert!(refused.0 != 200, "{path}");
        if refused.0 != 404 && refused.0 != 405 {
            assert_problem(&refused, 403, "second_factor_required");
        }
    }
    let named = app.anonymous(Method::GET, "/api/v1/jobs").bearer_auth(&ada.token).header("linecook-tenant", &tenant);
    assert_problem(&answer(named).await, 403, "second_factor_required");
    assert_eq!(app.call(&ada, Method::GET, &format!("tenants/{own}"), Value::Null).await.0, 200, "her own is open");
    let (_, tenants) = app.call(&ada, Method::GET, "tenants", Value::Null).await;
    assert!(!tenants.to_string().contains(&tenant), "{tenants}");
    let about = me(&app, &ada).await;
    assert_eq!(about["needs_second_factor"], json!(true), "{about}");

    app.enrol(&ada).await;
    assert_eq!(app.call(&ada, Method::GET, &path, Value::Null).await.0, 200);
    assert_eq!(me(&app, &ada).await["needs_second_factor"], json!(false));
    app.call(&owner, Method::GET, &path, Value::Null).await;
    require(&app, &owner, &tenant, false).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn keys_go_on_and_tokens_of_people_are_held_to_the_rule(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    let body = json!({ "tenant_id": tenant, "name": "the till", "permissions": ["jobs:read"] });
    let (status, key) = app.call(&owner, Method::POST, "api-keys", body).await;
    assert_eq!(status, 201, "{key}");
    require(&app, &owner, &tenant, true).await;
    let with_key = app.anonymous(Method::GET, "/api/v1/jobs").bearer_auth(key["key"].as_str().unwrap());
    assert_eq!(answer(with_key).await.0, 200, "a key is nobody's: it goes on");
    let (status, tokens) = app.open("refresh", json!({ "refresh_token": owner.refresh })).await;
    assert_eq!(status, 200, "{tokens}");
    let refreshed = SignedIn::of(&tokens);
    assert_problem(&app.call(&refreshed, Method::GET, "jobs", Value::Null).await, 403, "second_factor_required");
    app.enrol(&refreshed).await;
    let (status, tokens) = app.open("refresh", json!({ "refresh_token": refreshed.refresh })).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(
        app.call(&SignedIn::of(&tokens), Method::GET, "jobs", Value::Null).await.0,
        200,
        "no code is asked again"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_without_it_does_nothing_but_set_it_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let staff = app.person("staff@example.com").await;
    app.bench.execute("update users set operator_role = 'full' where $1 <> id", uuid::Uuid::nil()).await;
    let paths = ["stats", "jobs", "tenants", "audit-log", &format!("tenants/{}", app.bench.tenant_id)];
    for path in paths {
        let refused = app.call(&staff, Method::GET, path, Value::Null).await;
        assert_problem(&refused, 403, "second_factor_required");
    }
    let made = app.call(&staff, Method::POST, "tenants", json!({ "name": "X", "email": "x@example.com" })).await;
    assert_problem(&made, 403, "second_factor_required");
    assert_eq!(me(&app, &staff).await["needs_second_factor"], json!(true));
    app.enrol(&staff).await;
    for path in paths {
        assert_eq!(app.call(&staff, Method::GET, path, Value::Null).await.0, 200, "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_resets_a_lost_second_factor(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (ada, factor) = person(&mut app, "ada@example.com").await;
    let staff = app.operator("staff@example.com").await;
    let (adas_id, staffs_id) = (me(&app, &ada).await["id"].clone(), me(&app, &staff).await["id"].clone());
    let path = |id: &Value| format!("people/{}/second-factor", id.as_str().unwrap());
    let by_herself = app.call(&ada, Method::DELETE, &path(&adas_id), Value::Null).await;
    assert_problem(&by_herself, 403, "operators_only");
    let own = app.call(&staff, Method::DELETE, &path(&staffs_id), Value::Null).await;
    assert_problem(&own, 409, "wrong_state");
    assert_eq!(app.call(&staff, Method::DELETE, &path(&adas_id), Value::Null).await.0, 204);
    assert_eq!(app.call(&ada, Method::GET, "auth/me", Value::Null).await.0, 401, "she is signed out");
    assert_problem(&app.call(&staff, Method::DELETE, &path(&adas_id), Value::Null).await, 404, "not_found");
    app.sign_in("ada@example.com", PASSWORD).await;
    let log = app.get("/api/v1/audit-log").await;
    let entry = log["items"].as_array().unwrap().iter().find(|entry| entry["action"] == "user.reset_second_factor");
    assert_eq!(entry.unwrap()["actor_name"], "staff@example.com");
    assert!(!log.to_string().contains(&factor.secret), "{log}");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_operator_signs_somebody_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (ada, bob) = (app.person("ada@example.com").await, app.person("bob@example.com").await);
    let path = format!("people/{}/sessions", me(&app, &ada).await["id"].as_str().unwrap());
    assert_problem(&app.call(&bob, Method::DELETE, &path, Value::Null).await, 403, "operators_only");
    assert_eq!(answer(app.request(Method::DELETE, &format!("/api/v1/{path}"))).await.0, 204);
    assert_eq!(app.call(&ada, Method::GET, "auth/me", Value::Null).await.0, 401);
    assert_eq!(app.call(&bob, Method::GET, "auth/me", Value::Null).await.0, 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_command_resets_it_and_operators_are_led_to_another(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let (_, _) = person(&mut app, "ada@example.com").await;
    app.bench.execute("update users set operator_role = 'full' where $1 <> id", uuid::Uuid::nil()).await;
    app.admin(&["reset-second-factor", "--email", "ADA@example.com"]).await;
    assert_ne!(app.try_admin(&["reset-second-factor", "--email", "ada@example.com"]).await.0, Some(0));
    assert_ne!(app.try_admin(&["reset-second-factor", "--email", "nobody@example.com"]).await.0, Some(0));
    let ada = app.sign_in("ada@example.com", PASSWORD).await;
    assert_problem(&app.call(&ada, Method::GET, "stats", Value::Null).await, 403, "second_factor_required");
    let factor = app.enrol(&ada).await;
    app.shift_clock(NEXT_CODE);
    let pending = first_step(&app, "ada@example.com").await;
    let (status, tokens) = second_step(&app, &pending, &app.shown(&factor.secret).await).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(app.call(&SignedIn::of(&tokens), Method::GET, "stats", Value::Null).await.0, 200);
    assert_problem(&login(&app, "ada@example.com", "not the password").await, 401, "wrong_password");
}
