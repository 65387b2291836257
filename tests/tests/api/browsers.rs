//! Tests of the headers for browsers: which pages may read responses, and the browser features they
//! disable.

use admin::HttpConfig;
use reqwest::{Method, Response, header::HeaderMap};
use sqlx::PgPool;
use tests::{TestApp, unlimited};

const LISTED: &str = "https://app.example.com";

async fn send(app: &TestApp, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = app.request(method, path);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn only_listed_sites_read_answers(pool: PgPool) {
    let http = HttpConfig { cors_origins: LISTED.parse().unwrap(), ..unlimited() };
    let app = TestApp::with_http(pool, http).await;
    let asks = |origin| [("origin", origin), ("access-control-request-method", "POST")];
    let allowed = send(&app, Method::OPTIONS, "/api/v1/jobs", &asks(LISTED)).await;
    assert_eq!(allowed.status(), 204);
    let headers = allowed.headers();
    assert_eq!(value(headers, "access-control-allow-origin"), LISTED);
    assert_eq!(value(headers, "access-control-allow-credentials"), "true");
    assert!(value(headers, "access-control-allow-headers").contains("idempotency-key"));
    assert!(value(headers, "access-control-allow-methods").contains("PATCH"));

    // Browsers must be able to read a refusal too.
    for (method, path) in
        [(Method::GET, "/api/v1/jobs"), (Method::GET, "/api/v1/jobs/nonsense"), (Method::GET, "/nowhere")]
    {
        let read = send(&app, method, path, &[("origin", LISTED)]).await;
        assert_eq!(value(read.headers(), "access-control-allow-origin"), LISTED, "{path}");
        assert!(value(read.headers(), "access-control-expose-headers").contains("ratelimit"), "{path}");
        assert!(value(read.headers(), "vary").contains("origin"), "{path}");
    }
    for other in ["https://evil.example.com", "http://app.example.com", "null"] {
        let refused = send(&app, Method::OPTIONS, "/api/v1/jobs", &asks(other)).await;
        assert_eq!(refused.status(), 403, "{other}");
        let unread = send(&app, Method::GET, "/api/v1/jobs", &[("origin", other)]).await;
        for answer in [refused, unread] {
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{other}");
            assert!(!answer.headers().contains_key("access-control-allow-credentials"), "{other}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_answer_tells_browsers_to_be_careful(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/api/v1/jobs", "/api/v1/jobs/nonsense", "/nowhere", "/connect/x", "/health", "/docs", "/redoc"] {
        let answer = send(&app, Method::GET, path, &[]).await;
        let headers = answer.headers();
        assert_eq!(value(headers, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(value(headers, "referrer-policy"), "same-origin", "{path}");
        let policy = value(headers, "content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("script-src 'unsafe-inline'") && !policy.contains('*'), "{path}: {policy}");
        let is_reference = ["/docs", "/redoc"].contains(&path);
        assert_eq!(value(headers, "cache-control"), if is_reference { "no-cache" } else { "no-store" }, "{path}");
        assert_eq!(policy.contains("'sha256-"), is_reference, "{path}: {policy}");
        assert!(!headers.contains_key("strict-transport-security"), "{path}: this is http");
    }
    let refused = app.anonymous(Method::GET, "/api/v1/jobs").send().await.unwrap();
    assert_eq!(value(refused.headers(), "www-authenticate"), "Bearer");
    let refused = send(&app, Method::DELETE, "/api/v1/jobs", &[]).await;
    assert_eq!((refused.status().as_u16(), value(refused.headers(), "allow")), (405, "GET, POST"));
}
