//! Tests of rate limits.

use admin::{HttpConfig, RateConfig};
use jobs::{
    ids::TenantId,
    tenants::{self, keys, permissions::Permissions, plans::Plan},
};
use reqwest::{Method, Response};
use sqlx::PgPool;
use tests::{TestApp, unlimited};

fn limited() -> HttpConfig {
    let rates = RateConfig {
        basic: "3".parse().unwrap(),
        pro: "5".parse().unwrap(),
        enterprise: "none".parse().unwrap(),
        client: "4".parse().unwrap(),
    };
    HttpConfig { rates, ..unlimited() }
}

async fn tenant(app: &TestApp, plan: Plan) -> TenantId {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let tenant = tenants::store::insert(&mut tx, plan.name(), "a@example.com", plan).await.unwrap();
    tx.commit().await.unwrap();
    tenant.id
}

async fn key(app: &TestApp, tenant_id: TenantId) -> String {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let (_, key) = keys::insert(&mut tx, tenant_id, "a key", None, &Permissions::full()).await.unwrap();
    tx.commit().await.unwrap();
    key
}

async fn ask(app: &TestApp, key: Option<&str>) -> Response {
    let request = app.anonymous(Method::GET, "/api/v1/jobs?limit=1");
    let request = if let Some(key) = key { request.bearer_auth(key) } else { request };
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plan_says_how_much_may_be_asked(pool: PgPool) {
    let app = TestApp::with_http(pool, limited()).await;
    for (plan, served) in [(Plan::Basic, 3), (Plan::Pro, 5)] {
        let tenant_id = tenant(&app, plan).await;
        let (one, other) = (key(&app, tenant_id).await, key(&app, tenant_id).await);
        for left in (0..served).rev() {
            // The keys of a tenant share its limit.
            let answer = ask(&app, Some(if left % 2 == 0 { &one } else { &other })).await;
            assert_eq!(answer.status(), 200, "{plan:?}");
            let tenants = format!("\"tenant\";q={served};w=3600");
            assert!(header(&answer, "ratelimit-policy").starts_with(&tenants), "{:?}", answer.headers());
            assert!(
                header(&answer, "ratelimit").starts_with(&format!("\"tenant\";r={left};t=")),
                "{:?}",
                answer.headers()
            );
        }
        for key in [&one, &other] {
            let refused = ask(&app, Some(key)).await;
            assert_eq!(refused.status(), 429, "{plan:?}");
            let wait: u64 = header(&refused, "retry-after").parse().unwrap();
            assert!((1..=3600 / served).contains(&wait), "{wait}");
            assert!(header(&refused, "ratelimit").starts_with("\"tenant\";r=0;t="), "{:?}", refused.headers());
            let body: serde_json::Value = refused.json().await.unwrap();
            assert_eq!(body["code"], "rate_limited");
        }
    }
    let another = key(&app, tenant(&app, Plan::Basic).await).await;
    assert_eq!(ask(&app, Some(&another)).await.status(), 200, "another tenant has its own limit");
    let unlimited = key(&app, tenant(&app, Plan::Enterprise).await).await;
    let operator = app.key.clone();
    for key in [unlimited, operator] {
        for _ in 0..8 {
            let answer = ask(&app, Some(&key)).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "ratelimit")), (200, ""));
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn who_has_no_credentials_is_counted_by_machine(pool: PgPool) {
    let app = TestApp::with_http(pool, limited()).await;
    for _ in 0..4 {
        assert_eq!(ask(&app, Some("lk_wrong")).await.status(), 401);
    }
    let refused = ask(&app, None).await;
    assert_eq!((refused.status().as_u16(), header(&refused, "ratelimit-policy")), (429, "\"client\";q=4;w=60"));
    for path in ["/connect/x", "/api/v1/oauth/facebook/callback"] {
        assert_eq!(app.anonymous(Method::GET, path).send().await.unwrap().status(), 429, "{path}");
    }
    for path in ["/health", "/docs", "/openapi.json"] {
        assert_eq!(app.anonymous(Method::GET, path).send().await.unwrap().status(), 200, "{path}");
    }
    assert_eq!(ask(&app, Some(&app.key)).await.status(), 200, "those with a key are served");
    for _ in 0..40 {
        ask(&app, Some("lk_wrong")).await;
    }
    assert_eq!(ask(&app, Some("lk_other")).await.status(), 429, "many guesses are not looked up any more");
    assert_eq!(ask(&app, Some(&app.key)).await.status(), 200, "what was good is");
}

#[sqlx::test(migrations = "../migrations")]
async fn two_processes_count_together(pool: PgPool) {
    let mut app = TestApp::with_http(pool, limited()).await;
    let key = key(&app, tenant(&app, Plan::Basic).await).await;
    let (_admin, url) = app.serve_apart_with(&[("RATE_LIMIT_BASIC", "3")]).await;
    app.key.clone_from(&key);
    let there = || app.request_at(&url, Method::GET, "/api/v1/jobs").send();
    assert_eq!(there().await.unwrap().status(), 200);
    assert_eq!(ask(&app, Some(&key)).await.status(), 200);
    assert_eq!(there().await.unwrap().status(), 200);
    assert_eq!(ask(&app, Some(&key)).await.status(), 429);
    assert_eq!(there().await.unwrap().status(), 429);
}
