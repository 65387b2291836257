//! Tests of settings: who changes them, and their valid values.

use super::*;

#[sqlx::test(migrations = "../migrations")]
async fn what_is_given_changes_and_the_rest_stays(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    let path = format!("tenants/{tenant}");
    let logo = app.bench.picture().await;
    let all = json!({
        "name": "Krusty", "email": "k@example.com", "company_name": "Krusty Inc", "description": "Burgers", "country": "DE",
        "time_zone": "Europe/Berlin", "brand_hashtag": "#krusty", "tone": "loud",
        "hashtag_counts": { "facebook": 3, "instagram": 10 }, "shop_url": "https://shop.example.com", "primary_color": "#C83C28",
        "secondary_color": "#000000", "logo_asset_id": logo, "product_name": "KrustyPost", "hides_footer": true,
    });
    let token = person(&app, &[(tenant, "admin")]).await;
    let (status, changed) = call(&app, &token, Method::PATCH, &path, all.clone()).await;
    assert_eq!(status, 200, "{changed}");
    for (name, value) in all.as_object().unwrap() {
        let shown = if name == "primary_color" { &json!("#c83c28") } else { value };
        assert_eq!(&changed[name], shown, "{name}");
    }
    let some = json!({ "tone": null, "hides_footer": null, "country": "FR", "hashtag_counts": { "instagram": 0 } });
    let (_, changed_again) = call(&app, &token, Method::PATCH, &path, some).await;
    let mut expected = changed.clone();
    (expected["tone"], expected["hides_footer"], expected["country"]) = (Value::Null, json!(false), json!("FR"));
    expected["hashtag_counts"] = json!({ "instagram": 0 });
    assert_eq!(changed_again, expected);
    assert_eq!(app.get(&format!("/api/v1/{path}")).await, expected);
    let log = app.get(&format!("/api/v1/{path}/audit-log")).await;
    let details = &log["items"][0]["details"];
    assert_eq!((&details["before"]["country"], &details["after"]["country"]), (&json!("DE"), &json!("FR")));
    assert!(details["before"]["name"].is_null() && details["before"].as_object().unwrap().len() == 4, "{details}");
    call(&app, &token, Method::PATCH, &path, json!({})).await;
    let still = app.get(&format!("/api/v1/{path}/audit-log")).await;
    assert_eq!(still["items"].as_array().unwrap().len(), 2, "what changes nothing is no entry");
}

#[sqlx::test(migrations = "../migrations")]
async fn members_and_strangers_change_nothing(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let (tenant, other) = (app.bench.tenant_id, other_tenant(&app, Plan::Basic).await);
    let (path, change) = (format!("tenants/{tenant}"), json!({ "tone": "rude" }));
    let member = person(&app, &[(tenant, "member")]).await;
    assert_problem(&call(&app, &member, Method::PATCH, &path, change.clone()).await, 403, "missing_permission");
    assert_eq!(call(&app, &member, Method::GET, &path, json!({})).await.0, 200);
    let stranger = person(&app, &[(other, "owner")]).await;
    for key in [stranger, tenant_key(&app, other).await] {
        for (method, path) in
            [(Method::PATCH, ""), (Method::GET, ""), (Method::GET, "/usage"), (Method::DELETE, "?confirm=x")]
        {
            let anothers = call(&app, &key, method.clone(), &format!("tenants/{tenant}{path}"), change.clone()).await;
            let missing = format!("tenants/{}{path}", TenantId::new());
            assert_eq!(anothers, call(&app, &key, method, &missing, change.clone()).await);
            assert_problem(&anothers, 404, "not_found");
        }
    }
    assert!(app.get(&format!("/api/v1/{path}")).await["tone"].is_null());
}

#[sqlx::test(migrations = "../migrations")]
async fn plans_are_for_operators_and_what_is_not_a_setting_for_nobody(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("tenants/{}", app.bench.tenant_id);
    let owner = person(&app, &[(app.bench.tenant_id, "owner")]).await;
    let key = tenant_key(&app, app.bench.tenant_id).await;
    for caller in [&owner, &key] {
        let refused = call(&app, caller, Method::PATCH, &path, json!({ "plan": "enterprise" })).await;
        assert_problem(&refused, 403, "plan_by_operators");
    }
    for field in ["tenant_id", "id", "role", "erasing_at", "created_at"] {
        let refused = call(&app, &app.key, Method::PATCH, &path, json!({ field: null })).await;
        assert_problem(&refused, 400, "malformed");
    }
    let (_, changed) = call(&app, &app.key, Method::PATCH, &path, json!({ "plan": "enterprise" })).await;
    assert_eq!(changed["plan"], "enterprise");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_is_refused_by_its_name(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("tenants/{}", app.bench.tenant_id);
    for (field, value) in [
        ("country", json!("XX")),
        ("time_zone", json!("Mars/Base")),
        ("brand_hashtag", json!("#no spaces")),
        ("shop_url", json!("javascript:alert(1)")),
        ("primary_color", json!("red")),
        ("company_name", json!("")),
        ("tone", json!("x".repeat(501))),
    ] {
        let refused = call(&app, &app.key, Method::PATCH, &path, json!({ field: value })).await;
        assert_problem(&refused, 422, "bad_setting");
        assert!(refused.1["detail"].as_str().unwrap().starts_with(field), "{}", refused.1);
    }
    for (field, value) in [
        ("hashtag_counts", json!({ "facebook": 31 })),
        ("hashtag_counts", json!({ "facebook": -1 })),
        ("hashtag_counts", json!({ "myspace": 1 })),
        ("hides_footer", json!("yes")),
        ("logo_asset_id", json!("x")),
        ("email", json!("nobody")),
        ("name", json!("")),
    ] {
        let refused = call(&app, &app.key, Method::PATCH, &path, json!({ field: value })).await;
        assert_eq!(refused.0, 400, "{field} {}", refused.1);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_logo_is_a_picture_of_the_tenant(pool: sqlx::PgPool) {
    let app = TestApp::new(pool).await;
    let (other, picture) = (other_tenant(&app, Plan::Basic).await, app.bench.picture().await);
    for (tenant, logo) in [(other, json!(picture)), (app.bench.tenant_id, json!(uuid::Uuid::now_v7()))] {
        let path = format!("tenants/{tenant}");
        let refused = call(&app, &app.key, Method::PATCH, &path, json!({ "logo_asset_id": logo })).await;
        assert_problem(&refused, 404, "not_found");
    }
    let path = format!("tenants/{}", app.bench.tenant_id);
    call(&app, &app.key, Method::PATCH, &path, json!({ "logo_asset_id": picture })).await;
    app.bench.execute("delete from brand_assets where id = $1", picture.0).await;
    assert!(app.get(&format!("/api/v1/{path}")).await["logo_asset_id"].is_null());
}
