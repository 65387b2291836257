//! Links with which people without an account here connect theirs.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer, people::SignedIn};

use super::{
    assert_problem,
    browser::submit,
    connecting::{Login, agree, come_back, open, tenant_of},
};

/// An owner with a link.
struct Stage {
    app: TestApp,
    ada: SignedIn,
    tenant: String,
    link: Value,
    /// The path of the link.
    path: String,
}

impl Stage {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        let ada = app.person("ada@example.com").await;
        let tenant = tenant_of(&app, &ada).await;
        let body = json!({ "provider": "facebook" });
        let (status, link) = app.call(&ada, Method::POST, &format!("tenants/{tenant}/connect-links"), body).await;
        assert_eq!(status, 201, "{link}");
        let path = link["url"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned();
        Self { app, ada, tenant, link, path }
    }

    async fn revoke(&self) -> Value {
        let path = format!("tenants/{}/connect-links/{}", self.tenant, self.link["id"].as_str().unwrap());
        let (status, revoked) = self.app.call(&self.ada, Method::DELETE, &path, Value::Null).await;
        assert_eq!(status, 200, "{revoked}");
        revoked
    }

    /// Follows the link, and agrees at the provider.
    async fn log_in(&self) -> Login {
        let opened = submit(&self.app, &self.path, &[]).await;
        assert_eq!(opened.status(), 200);
        let dialog = opened.headers()["refresh"].to_str().unwrap().strip_prefix("0; url=").unwrap().to_owned();
        agree(&opened, &dialog, "").await
    }

    async fn accounts(&self) -> usize {
        let path = format!("tenants/{}/accounts", self.tenant);
        let (_, accounts) = self.app.call(&self.ada, Method::GET, &path, Value::Null).await;
        accounts["items"].as_array().unwrap().len()
    }
}

/// The cookie and the path of the result.
fn result_of(back: &Response) -> (String, String) {
    assert_eq!(back.status(), 303);
    let cookies = back.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("linecook_connected_")).unwrap();
    (cookie.split(';').next().unwrap().to_owned(), back.headers()["location"].to_str().unwrap().to_owned())
}

async fn page(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_without_an_account_connects_a_page(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let (status, shown) = page(open(&stage.app, Method::GET, &stage.path, None).await).await;
    assert!(status == 200 && shown.contains("ada@example.com") && shown.contains("Facebook"), "{shown}");
    let login = stage.log_in().await;
    let (cookie, path) = result_of(&come_back(&stage.app, &login.cookie, &login.query()).await);
    let waiting = open(&stage.app, Method::GET, &path, Some(&cookie)).await;
    assert_eq!(waiting.headers()["refresh"], "2", "it is looked at again without scripts");
    stage.app.bench.drain().await;
    let done = open(&stage.app, Method::GET, &path, Some(&cookie)).await;
    assert!(!done.headers().contains_key("refresh"));
    let (status, shown) = page(done).await;
    assert!(status == 200 && shown.contains("Trattoria Aurora"), "{shown}");
    assert_eq!(stage.accounts().await, 1);
    for other in [None, Some("linecook_connected_1=x")] {
        assert_eq!(open(&stage.app, Method::GET, &path, other).await.status(), 404, "only that browser sees it");
    }
    let again = stage.log_in().await;
    assert_eq!(come_back(&stage.app, &again.cookie, &again.query()).await.status(), 303, "a link works more than once");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_visitor_chooses_and_sees_nothing_of_the_workspace(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let login = stage.log_in().await;
    come_back(&stage.app, &login.cookie, &login.query()).await;
    stage.app.bench.drain().await;
    let pages = json!([
        { "id": "10158250000000101", "name": "Trattoria Aurora" }, { "id": "10158250000000102", "name": "Bar Aurora" },
    ]);
    let people = json!({ "people": [{ "id": "7", "name": "Eve", "pages": pages }] });
    stage.app.bench.sandbox.control("people", people).await;
    let login = stage.log_in().await;
    let (cookie, path) = result_of(&come_back(&stage.app, &login.cookie, &login.query()).await);
    stage.app.bench.drain().await;
    let (_, asking) = page(open(&stage.app, Method::GET, &path, Some(&cookie)).await).await;
    assert!(asking.contains("Bar Aurora"), "{asking}");
    for hidden in ["checked", "connected before", "another person", "ada@example.com"] {
        assert!(!asking.contains(hidden), "{hidden}: {asking}");
    }
    let id = asking.split("name=\"account\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let send = async |cookie: &str, form: &[(&str, &str)]| {
        let request =
            stage.app.anonymous(Method::POST, &path).header("cookie", cookie).header("origin", &stage.app.url);
        request.form(form).send().await.unwrap()
    };
    assert_eq!(send("linecook_connected_1=x", &[("account", &id)]).await.status(), 404);
    assert_eq!(send(&cookie, &[]).await.status(), 422);
    assert_eq!(send(&cookie, &[("account", &id)]).await.status(), 303);
    let (_, done) = page(open(&stage.app, Method::GET, &path, Some(&cookie)).await).await;
    assert!(done.contains("Bar Aurora") && !done.contains("Trattoria"), "{done}");
    assert_eq!(stage.accounts().await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_revoked_link_begins_and_finishes_nothing(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let login = stage.log_in().await;
    let revoked = stage.revoke().await;
    assert!(revoked["revoked_at"].is_string() && revoked.get("url").is_none(), "{revoked}");
    assert_eq!(stage.revoke().await["revoked_at"], revoked["revoked_at"], "again changes nothing");
    assert_eq!(open(&stage.app, Method::GET, &stage.path, None).await.status(), 404);
    assert_eq!(submit(&stage.app, &stage.path, &[]).await.status(), 404);
    assert_eq!(come_back(&stage.app, &login.cookie, &login.query()).await.status(), 400);
    assert_eq!(stage.app.bench.sandbox.calls("exchange_code").await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_works_for_a_week_and_is_stored_as_a_hash(pool: PgPool) {
    let mut stage = Stage::new(pool).await;
    let secret = stage.path.rsplit('/').next().unwrap().to_owned();
    let path = format!("tenants/{}/connect-links", stage.tenant);
    let (_, list) = stage.app.call(&stage.ada, Method::GET, &path, Value::Null).await;
    assert_eq!(list["items"][0]["id"], stage.link["id"]);
    assert!(!list.to_string().contains(&secret), "{list}");
    let mut tx = stage.app.bench.engine.db.system().await.unwrap();
    let stored: String =
        sqlx::query_scalar("select row_to_json(l)::text from connect_links l").fetch_one(&mut *tx).await.unwrap();
    drop(tx);
    assert!(!stored.contains(&secret), "{stored}");
    stage.app.shift_clock(Duration::from_hours(7 * 24));
    assert_eq!(open(&stage.app, Method::GET, &stage.path, None).await.status(), 404);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_link_is_made_listed_and_revoked_by_those_who_may(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let bob = stage.app.person("bob@example.com").await;
    let path = format!("tenants/{}/connect-links", stage.tenant);
    let of_one = format!("{path}/{}", stage.link["id"].as_str().unwrap());
    let make = json!({ "provider": "facebook" });
    for (method, path, body) in
        [(Method::POST, &path, make), (Method::GET, &path, Value::Null), (Method::DELETE, &of_one, Value::Null)]
    {
        assert_problem(&stage.app.call(&bob, method, path, body).await, 404, "not_found");
    }
    for provider in ["google", "myspace", ""] {
        let (status, body) = stage.app.call(&stage.ada, Method::POST, &path, json!({ "provider": provider })).await;
        assert!(status.is_client_error(), "{provider}: {status} {body}");
    }
    let foreign = stage.app.anonymous(Method::POST, &stage.path).header("origin", "https://evil.example.com");
    assert_eq!(answer(foreign.form(&[("a", "b")])).await.0, 403);
    let log =
        stage.app.call(&stage.ada, Method::GET, &format!("tenants/{}/audit-log", stage.tenant), Value::Null).await.1;
    assert!(log.to_string().contains("connect_link.create"), "{log}");
}
