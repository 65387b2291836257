//! Mistakes with secrets: mistyped requests, malformed settings, and servers that are down.

use std::time::Duration;

use jobs::noop::Noop;
use reqwest::Method;
use serde_json::{Value, json};
use tests::until;

use crate::stage::Stage;

/// Sends requests with a secret in the wrong place. None is accepted, and no response repeats the
/// secret.
pub(crate) async fn requests(stage: &Stage) {
    let token = stage.secrets.key("a token in the wrong place");
    stage.secrets.worked(&token);
    for path in [
        "/api/v1/jobs?token=",
        "/api/v1/jobs?access_token=",
        "/api/v1/jobs?limit=",
        "/api/v1/jobs?tenant_id=",
        "/api/v1/jobs?after=",
        "/api/v1/jobs?state=",
        "/api/v1/jobs?since=",
        "/api/v1/jobs/",
        "/api/v1/tenants/",
        "/api/v1/oauth/facebook/authorize?tenant_id=",
        "/api/v1/oauth/facebook/callback?state=x&code=",
        "/api/v1/oauth/facebook/callback?code=x&state=",
        "/api/v1/oauth/facebook/callback?error=",
        "/connect/",
        "/connect/link/",
        "/invitations/",
        "/verify-email/",
        "/reset-password/",
        "/health?key=",
        "/nowhere/",
    ] {
        for request in [
            stage.operator(Method::GET, &format!("{path}{token}")),
            stage.http.request(Method::GET, &format!("{path}{token}")),
        ] {
            stage.http.send(request).await;
        }
    }
    for value in [format!("Bearer {token}"), format!("Bearer lk_{token}"), format!("Basic {token}"), token.clone()] {
        let request = stage.http.request(Method::GET, "/api/v1/jobs").header("authorization", value);
        stage.http.send(request).await.expect(401);
    }
    let cookie = format!("linecook_session={token}");
    stage.http.send(stage.http.request(Method::GET, "/api/v1/auth/me").header("cookie", cookie)).await.expect(401);
    bodies(stage, &token).await;
    forms(stage).await;
}

async fn bodies(stage: &Stage, token: &str) {
    let password = stage.secrets.password("a password in the wrong place");
    stage.secrets.worked(&password);
    let email = stage.address("nobody");
    let paths =
        ["login", "register", "refresh", "forgot-password", "verify-email", "reset-password", "accept-invitation"];
    for path in paths {
        let path = format!("/api/v1/auth/{path}");
        for body in [
            json!({ "email": email, "password": [password], "code": [token], "refresh_token": { "is": token } }),
            json!({ "email": { "is": password }, "password": { "is": password }, "code": 1, "refresh_token": [token] }),
            json!({ "email": [password], "name": [password], "organization_name": [password] }),
            json!({ "name": password, "email": email, "password": password, "organization_name": [token], "code": token }),
            json!({ "email": email, "passwrd": password, "token": token }),
            json!([password, token]),
            json!(password),
        ] {
            let answer = stage.http.send(stage.http.request(Method::POST, &path).json(&body)).await;
            assert!(!answer.status.is_server_error(), "{path}: {}", answer.text);
        }
        for (kind, body) in [
            ("application/json", format!("{{\"password\": \"{token}\", \"email\": {token}")),
            ("application/json", format!("{token}\u{0}")),
            ("text/plain", token.to_owned()),
            ("application/x-www-form-urlencoded", format!("password={token}")),
        ] {
            let request = stage.http.request(Method::POST, &path).header("content-type", kind).body(body);
            assert!(stage.http.send(request).await.status.is_client_error());
        }
    }
    let nul = json!({ "email": email, "password": format!("{token}\u{0}"), "name": "x", "organization_name": "x" });
    stage.http.send(stage.http.request(Method::POST, "/api/v1/auth/register").json(&nul)).await;
    for body in [json!({ "name": [token], "permissions": [] }), json!({ "name": "x", "permissions": { "key": token } })]
    {
        stage.post("/api/v1/api-keys", body).await.expect(400);
    }
}

/// Submits forms. The pages send back the ordinary fields, and never a password.
async fn forms(stage: &Stage) {
    let password = stage.secrets.password("a password in a form");
    stage.secrets.worked(&password);
    let email = stage.address("nobody");
    stage.submit("/sign-in", &[("email", &email), ("password", &password)]).await.expect(401);
    stage.submit("/sign-in", &[("password", &password)]).await;
    stage
        .submit(
            "/sign-up",
            &[("email", "nonsense"), ("name", "x"), ("organization_name", "x"), ("password", &password)],
        )
        .await;
    stage.submit("/reset-password/nonsense", &[("password", &password)]).await.expect(422);
    stage.submit("/invitations/nonsense", &[("name", "x"), ("password", &password)]).await.expect(422);
    let foreign = stage.http.request(Method::POST, "/sign-in").header("origin", "https://evil.example.com");
    stage.http.send(foreign.form(&[("email", &email), ("password", &password)])).await.expect(403);
    let query = stage.http.request(Method::GET, "/sign-in").query(&[("password", &password)]);
    stage.http.send(query).await.expect(200);
}

/// Starts programs with malformed settings, or with addresses of no server.
pub(crate) async fn starts(stage: &Stage) {
    let secret = stage.secrets.key("a secret in a malformed setting");
    stage.secrets.worked(&secret);
    let short = format!("{}!", &secret[..17]);
    stage.secrets.keep_unused("a SECRET_KEY that is too short", short.as_bytes());
    let settings = [
        ("DATABASE_URL", format!("postgres://linecook:{secret}@127.0.0.1:port/linecook")),
        ("DATABASE_URL", secret.clone()),
        ("DATABASE_URL", format!("postgres://linecook:{secret}@127.0.0.1:1/linecook")),
        ("DATABASE_URL", stage.postgres.url.replacen("linecook:", &format!("linecook:{secret}"), 1)),
        ("REDIS_URL", format!("http://:{secret}@127.0.0.1")),
        ("REDIS_URL", format!("redis://:{secret}@127.0.0.1:port")),
        ("REDIS_URL", secret.clone()),
        ("ENCRYPTION_KEYS", format!("canary:{secret}")),
        ("ENCRYPTION_KEYS", secret.clone()),
        ("ENCRYPTION_KEYS", format!("{secret} :{secret}")),
        ("SECRET_KEY", short),
        ("SMTP_URL", format!("http://me:{secret}@mail.example.com")),
        ("SMTP_URL", secret.clone()),
        ("STORAGE_URL", secret.clone()),
        ("STORAGE_URL", format!("s3://key:{secret}@")),
        ("STORAGE_URL", format!("s3://bucket?secret={secret}")),
        ("STORAGE_URL", format!("s3://key:{secret}@bucket:port")),
        ("STORAGE_URL", format!("gcs://key:{secret}@bucket")),
        ("PUBLIC_URL", format!("//me:{secret}@linecook.example.com")),
        ("OPENAI_API_KEY", format!("{secret}\n")),
    ];
    // A few run at a time, as each waits some seconds for a database that does not exist.
    for (number, some) in settings.chunks(6).enumerate() {
        let each =
            some.iter().enumerate().flat_map(|(at, setting)| ["admin", "worker"].map(|program| (at, setting, program)));
        let tries = each.map(async |(at, (name, value), program)| {
            let log = format!("{program} with a bad {name} ({number}.{at})");
            let changed = [(*name, value.as_str())];
            let ended = tokio::time::timeout(Duration::from_secs(20), stage.try_program(program, &changed, &log)).await;
            (log, ended)
        });
        for (log, ended) in futures_util::future::join_all(tries).await {
            assert!(ended.is_ok_and(|is_well| !is_well) || log.contains("OPENAI"), "{log}: it does not start");
        }
    }
}

/// Stops Redis for a moment, then PostgreSQL, while jobs run.
pub(crate) async fn outages(stage: &mut Stage) {
    stage.redis.stop();
    stage.app.bench.enqueue(&Noop::default()).await;
    stage.http.send(stage.operator(Method::GET, "/health/redis")).await;
    stage.app.wait_until_some("noop", "completed", 1).await;
    stage.redis.restart_empty().await;

    let password = stage.secrets.password("a password while PostgreSQL is away");
    stage.secrets.worked(&password);
    stage.postgres.stop_immediately();
    stage.http.send(stage.operator(Method::GET, "/api/v1/jobs")).await;
    stage.http.send(stage.http.request(Method::GET, "/health/db")).await;
    let body = json!({ "email": stage.address("nobody"), "password": password });
    stage.http.send(stage.http.request(Method::POST, "/api/v1/auth/login").json(&body)).await;
    stage.postgres.start_again().await;
    until("the admin reaches PostgreSQL again", Duration::from_mins(1), async || {
        let answer = stage.http.send(stage.operator(Method::GET, "/health/db")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let job = json!({ "tenant_id": stage.app.bench.tenant_id, "kind": "noop", "args": Value::Object(serde_json::Map::new()) });
    stage.post("/api/v1/jobs", job).await.expect(202);
    stage.app.wait_until_some("noop", "completed", 2).await;
}
