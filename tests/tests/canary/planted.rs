//! Tests that the search finds planted secrets, so that an empty result means something.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tests::servers::{PrivatePostgres, PrivateRedis};
use tokio::process::Command;

use crate::{
    http::Http,
    program::{Folder, Program},
    search::{Artifact, search},
    secrets::{Secrets, forms},
    servers::{Monitor, contents},
};

/// Returns the secret in every form, between other letters.
fn all_forms(secret: &str) -> Vec<(&'static str, String)> {
    let text = |bytes: Vec<u8>| format!("x{}x", String::from_utf8(bytes).unwrap());
    forms(secret.as_bytes()).into_iter().map(|(form, bytes)| (form, text(bytes))).collect()
}

#[tokio::test]
async fn a_secret_is_found_in_every_place_and_every_form() {
    let secrets = Secrets::default();
    let secret = secrets.password("the secret");
    secrets.keep_unused("another secret", b"not to be found anywhere");
    let forms = all_forms(&secret);
    let text = forms.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
    let mut artifacts = vec![body(&text).await];
    artifacts.extend(log(&text).await);
    artifacts.extend(redis(&text).await);
    artifacts.extend(database(&text).await);

    let finds = search(&secrets, &artifacts);
    assert!(finds.iter().all(|find| find.secret == "the secret"), "{finds:?}");
    for place in &artifacts {
        let found: BTreeSet<&str> =
            finds.iter().filter(|find| find.place == place.name).map(|find| find.form).collect();
        for (form, text) in &forms {
            // A place that escapes a form differently contains another form of the same secret
            // instead.
            let is_rewritten = text.contains(['\'', '"', '\\', 'é']) && found.contains("core");
            assert!(found.contains(form) || is_rewritten, "{form} in {}: {found:?}", place.name);
        }
    }
    let allowed = BTreeSet::from([secrets.index(&secret)]);
    let handed_out =
        artifacts.into_iter().map(|place| Artifact { may_hold: allowed.clone(), ..place }).collect::<Vec<_>>();
    assert_eq!(search(&secrets, &handed_out), []);
}

#[test]
fn base64_is_found_wherever_the_secret_begins() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let secrets = Secrets::default();
    let secret = secrets.key("the secret");
    for before in ["", "a", "ab", "abc"] {
        for after in ["", "x", "xy"] {
            let place = Artifact::new("here", STANDARD.encode(format!("{before}{secret}{after}")));
            assert_eq!(search(&secrets, &[place]).len(), 1, "{before}|{after}");
        }
    }
}

/// Returns a response of the sandbox as the client keeps it.
async fn body(text: &str) -> Artifact {
    let sandbox = jobs::testing::Sandbox::new();
    sandbox.fault("read_me", json!({ "status": 400, "body": text })).await;
    let http = Http::new(format!("{}/graph", sandbox.base));
    http.send(http.request(reqwest::Method::GET, "/v25.0/me")).await.expect(400);
    http.take().remove(0)
}

async fn log(text: &str) -> Vec<Artifact> {
    let folder = Folder::new();
    for (name, script) in [("output", "printf %s \"$TEXT\""), ("log", "printf %s \"$TEXT\" >&2")] {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("TEXT", text);
        assert!(Program::start(command, &folder, name).ends().await);
    }
    folder.read()
}

async fn redis(text: &str) -> [Artifact; 2] {
    let password = "the password of this Redis";
    let redis = PrivateRedis::start_closed(password).await;
    let monitor = Monitor::start(&redis, password);
    let seen = tests::until("the monitor sees it", std::time::Duration::from_mins(1), async || {
        redis.command(&["SET", "key", text]).await;
        let seen = monitor.place();
        String::from_utf8_lossy(&seen.bytes).contains("\"SET\"").then_some(seen)
    });
    [seen.await, contents(&redis).await]
}

/// Writes a row, and runs a statement with a parameter.
async fn database(text: &str) -> [Artifact; 2] {
    let postgres = PrivatePostgres::start_watched(20, "the password of this database").await;
    let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
    sqlx::query("create table found (words text)").execute(&mut connection).await.unwrap();
    sqlx::query("insert into found values ($1)").bind(text).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    [Artifact::new("a dump", postgres.dump()), Artifact::new("the log of a database", postgres.log())]
}
