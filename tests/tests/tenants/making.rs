//! Tests of creating and reading tenants.

use super::*;

#[sqlx::test(migrations = "../migrations")]
async fn whoever_is_signed_in_makes_a_tenant_and_owns_it(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let token = person(&app, &[(app.bench.tenant_id, "member")]).await;
    let made = call(&app, &token, Method::POST, "tenants", new_tenant("Moe's")).await;
    assert_eq!((made.0.as_u16(), &made.1["plan"]), (201, &json!("basic")), "{}", made.1);
    let listed = call(&app, &token, Method::GET, "tenants", json!({})).await;
    assert_eq!(items(&listed), [("Moe's".to_owned(), json!("owner")), ("Krusty Pizza".to_owned(), json!("member"))]);
    assert!(listed.1["items"][0]["usage"].is_null(), "{}", listed.1);
    let path = format!("tenants/{}/audit-log", made.1["id"].as_str().unwrap());
    let log = app.get(&format!("/api/v1/{path}")).await;
    assert_eq!(log["items"][0]["action"], "tenant.create");
}

#[sqlx::test(migrations = "../migrations")]
async fn only_operators_say_the_plan_and_keys_of_tenants_make_none(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let pro = json!({ "name": "Moe's", "email": "n@example.com", "plan": "pro" });
    let token = person(&app, &[]).await;
    assert_problem(&call(&app, &token, Method::POST, "tenants", pro.clone()).await, 403, "plan_by_operators");
    let key = tenant_key(&app, app.bench.tenant_id).await;
    assert_problem(&call(&app, &key, Method::POST, "tenants", new_tenant("x")).await, 403, "operators_only");
    let made = app.post("/api/v1/tenants", pro).await;
    assert_eq!((made.0.as_u16(), &made.1["plan"]), (201, &json!("pro")));
    let listed = (StatusCode::OK, app.get("/api/v1/tenants").await);
    assert_eq!(items(&listed), [("Moe's".to_owned(), Value::Null), ("Krusty Pizza".to_owned(), Value::Null)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn operators_see_what_tenants_have_used(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    app.bench.picture().await;
    let listed = app.get("/api/v1/tenants").await;
    let usage = &listed["items"][0]["usage"];
    assert_eq!((&usage["images"], &usage["posts"], &usage["ai_generations"]), (&json!(1), &json!(0), &json!(0)));
    assert!(usage["storage_bytes"].as_i64() > Some(100), "{usage}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_begins_with_the_settings_of_another_of_the_callers(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let (own, other) = (app.bench.tenant_id, other_tenant(&app, Plan::Basic).await);
    let patch =
        json!({ "tone": "warm", "hashtag_counts": { "facebook": 3 }, "logo_asset_id": app.bench.picture().await });
    assert_eq!(call(&app, &app.key, Method::PATCH, &format!("tenants/{own}"), patch).await.0, 200);
    let token = person(&app, &[(own, "member")]).await;
    let copy = |model: TenantId| json!({ "name": "Moe's", "email": "n@example.com", "copy_settings_from": model });
    let (status, made) = call(&app, &token, Method::POST, "tenants", copy(own)).await;
    assert_eq!((status.as_u16(), &made["tone"], &made["name"]), (201, &json!("warm"), &json!("Moe's")));
    assert_eq!((&made["hashtag_counts"], &made["logo_asset_id"]), (&json!({ "facebook": 3 }), &Value::Null));
    for not_the_callers in [other, TenantId::new(), TenantId::SYSTEM] {
        let refused = call(&app, &token, Method::POST, "tenants", copy(not_the_callers)).await;
        assert_problem(&refused, 404, "not_found");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn twenty_made_at_once_are_ten(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let token = person(&app, &[(app.bench.tenant_id, "member")]).await;
    let all = (0..20).map(|_| call(&app, &token, Method::POST, "tenants", new_tenant("Moe's")));
    let (made, refused): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(all).await.into_iter().partition(|answered| answered.0 == 201);
    assert_eq!((made.len(), refused.len()), (10, 10));
    for answered in refused {
        assert_problem(&answered, 403, "too_many_tenants");
    }
    assert_eq!(app.post("/api/v1/tenants", new_tenant("Moe's")).await.0, 201, "operators make more");
}
