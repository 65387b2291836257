//! Tests of names: their one form, what is no name, and the list of folders.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer, people::PASSWORD};

use super::assert_problem;

#[sqlx::test(migrations = "../migrations")]
async fn folders_are_listed_by_name_to_their_end(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tenant = app.bench.tenant_id;
    for number in 0..20 {
        let (status, body) =
            app.post("/api/v1/folders", json!({ "tenant_id": tenant, "name": number.to_string() })).await;
        assert_eq!(status, 201, "{body}");
    }
    let path = format!("/api/v1/tenants/{tenant}/folders");
    let (mut names, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = app.get(&format!("{path}?limit=10{after}")).await;
        let items = page["items"].as_array().unwrap().iter();
        names.extend(items.map(|folder| folder["name"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!((names.len(), pages), (20, 2), "a full last page has nothing behind it");
    assert_eq!(names, sorted);
    let (status, body) = answer(app.request(Method::GET, &format!("{path}?after=AAAA"))).await;
    assert_problem(status, &body, 422, "bad_after");
}

#[sqlx::test(migrations = "../migrations")]
async fn names_that_look_the_same_are_the_same(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let folder = |name: &str| json!({ "tenant_id": app.bench.tenant_id, "name": name });
    let (_, first) = app.post("/api/v1/folders", folder("Cafe\u{301}")).await;
    assert_eq!(first["name"], "Caf\u{e9}");
    let (status, body) = app.post("/api/v1/folders", folder(" Caf\u{e9} ")).await;
    assert_problem(status, &body, 409, "folder_exists");

    let tenant = json!({ "name": "Cafe\u{301}", "email": "a@b.example" });
    let (_, tenant) = app.post("/api/v1/tenants", tenant).await;
    assert_eq!(tenant["name"], "Caf\u{e9}");
    let confirmed = format!("/api/v1/tenants/{}?confirm=Cafe%CC%81", tenant["id"].as_str().unwrap());
    assert_eq!(answer(app.request(Method::DELETE, &confirmed)).await.0, 202);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_shows_nothing_or_moves_other_text_is_no_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ada = app.person("ada@example.com").await;
    let tenant = app.bench.tenant_id;
    let person = |name: &str, organization: &str| {
        json!({
            "name": name, "email": "b@example.com", "password": PASSWORD, "organization_name": organization,
        })
    };
    for blank in ["   ", "\u{200b}", "\u{3164}", "a\u{202e}b", "a\nb", "a\u{2066}b"] {
        for (path, field, body) in [
            ("folders", "name", json!({ "tenant_id": tenant, "name": blank })),
            ("tenants", "name", json!({ "name": blank, "email": "a@b.example" })),
            ("api-keys", "name", json!({ "name": blank, "permissions": ["jobs:read"] })),
            ("auth/register", "name", person(blank, "B")),
            ("auth/register", "organization_name", person("B", blank)),
            ("auth/accept-invitation", "name", json!({ "code": "x", "name": blank, "password": PASSWORD })),
        ] {
            refused(app.post(&format!("/api/v1/{path}"), body).await, field, path);
        }
        let path = format!("/api/v1/tenants/{tenant}");
        let patched = app.request(Method::PATCH, &path).json(&json!({ "name": blank }));
        refused(answer(patched).await, "name", "patch");
        for field in ["first_name", "last_name"] {
            // A last name may be left out.
            if !(field == "last_name" && blank.trim().is_empty()) {
                refused(app.call(&ada, Method::PATCH, "auth/me", json!({ field: blank })).await, field, "me");
            }
        }
        let patched = app.request(Method::PATCH, &path).json(&json!({ "company_name": blank }));
        let (status, body) = answer(patched).await;
        assert_problem(status, &body, 422, "bad_setting");
    }
    let (status, me) = app.call(&ada, Method::PATCH, "auth/me", json!({ "last_name": "" })).await;
    assert_eq!((status.as_u16(), &me["last_name"]), (200, &json!("")));
}

fn refused((status, problem): (reqwest::StatusCode, Value), field: &str, path: &str) {
    assert_problem(status, &problem, 422, "bad_name");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with(&format!("{field}: it should be a name of ")), "{path}: {problem}");
}

#[sqlx::test(migrations = "../migrations")]
async fn hashtags_of_any_script_are_taken(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/v1/tenants/{}", app.bench.tenant_id);
    for (hashtag, status) in
        [("#\u{92a}\u{93f}\u{91c}\u{93c}\u{94d}\u{91c}\u{93c}\u{93e}", 200), ("#\u{30d4}\u{30b6}", 200), ("#a b", 422)]
    {
        let request = app.request(Method::PATCH, &path).json(&json!({ "brand_hashtag": hashtag }));
        assert_eq!(answer(request).await.0, status, "{hashtag}");
    }
}
