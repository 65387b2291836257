//! People who register, sign in, forget passwords and invite others.

use std::time::Duration;

use jobs::{fault_probe::Probe, people::store::Purpose, signer::Signer, testing::emails_to};
use reqwest::Method;
use serde_json::{Value, json};
use tests::until;
use uuid::Uuid;

use crate::{
    http::Answer,
    stage::{PUBLIC, Stage},
};

/// A person who is signed in by tokens.
pub(crate) struct Person {
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// The refresh token that was exchanged for these tokens.
    pub(crate) spent: String,
    pub(crate) tenant: String,
    /// The code of the link that verified the address.
    code: String,
}

/// Has Ada do everything by the API. Her first email fails: the worker's password for the mail
/// server is wrong, and then the worker dies.
pub(crate) async fn ada(stage: &mut Stage) -> Person {
    let email = stage.address("ada");
    let password = stage.secrets.password("Ada's password");
    let body = json!({ "name": "Ada", "email": email, "password": password, "organization_name": "Ada's" });
    open(stage, "register", body).await.expect(202);
    stage.app.wait_until_some("send_mail", "retryable", 1).await;
    let death = json!({ "tenant_id": stage.app.bench.tenant_id, "kind": "fault_probe", "args": { "what": Probe::Abort, "attempts": 1 } });
    stage.post("/api/v1/jobs", death).await.expect(202);
    assert!(!stage.worker.ends().await, "the job aborted its worker");
    stage.start_worker().await;
    stage.push("send_mail").await;
    stage.secrets.worked_named("password of the mail server");

    let code = mailed(stage, &email, "verify-email").await;
    open(stage, "verify-email", json!({ "code": code, "password": password })).await.expect(200);
    stage.secrets.worked(&code);
    let mistyped = format!("{password}x9");
    stage.secrets.keep_unused("Ada's mistyped password", mistyped.as_bytes());
    open(stage, "login", json!({ "email": email, "password": mistyped })).await.expect(401);
    let first = open(stage, "login", json!({ "email": email, "password": password })).await.expect(200);
    stage.secrets.worked(&password);
    let (_, spent) = tokens(stage, &first, "Ada's first");
    let next = open(stage, "refresh", json!({ "refresh_token": spent })).await.expect(200);
    stage.secrets.worked(&spent);
    let (access, refresh) = tokens(stage, &next, "Ada's second");
    let me = stage.http.send(stage.http.request(Method::GET, "/api/v1/auth/me").bearer_auth(&access)).await.expect(200);
    Person { access, refresh, spent, code, tenant: me.field("current_tenant_id") }
}

async fn open(stage: &Stage, path: &str, body: Value) -> Answer {
    stage.http.send(stage.http.request(Method::POST, &format!("/api/v1/auth/{path}")).json(&body)).await
}

/// Returns the tokens that a response hands out. The secret part of an access token is its
/// signature.
fn tokens(stage: &Stage, answer: &Answer, whose: &str) -> (String, String) {
    let (access, refresh) = (answer.field("access_token"), answer.field("refresh_token"));
    let signature = access.rsplit('.').next().unwrap_or_default();
    stage.secrets.keep_unused(&format!("{whose} access token"), signature.as_bytes());
    stage.http.may_hold(&stage.secrets, answer, signature);
    stage.secrets.keep_unused(&format!("{whose} refresh token"), refresh.as_bytes());
    stage.http.may_hold(&stage.secrets, answer, &refresh);
    (access, refresh)
}

/// Returns the code in the last email with a link to this page. Only the addressee may read the
/// email.
async fn mailed(stage: &Stage, email: &str, page: &str) -> String {
    let link = format!("{PUBLIC}/{page}/");
    let code = until(&format!("{email} gets a link to {page}"), Duration::from_mins(1), async || {
        let last = emails_to(email).pop()?;
        let (_, rest) = last["plain"].as_str()?.split_once(&link)?;
        Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect::<String>())
    })
    .await;
    stage.secrets.keep(&format!("code mailed to {email}"), &code)
}

/// Has Bob do everything by the pages, and forget his password.
pub(crate) async fn bob(stage: &Stage) {
    let email = stage.address("bob");
    let password = stage.secrets.password("Bob's password");
    let form = [("name", "Bob"), ("organization_name", "Bob's"), ("email", &email), ("password", &password)];
    stage.submit("/sign-up", &form).await.expect(202);
    follow(stage, &email, "verify-email", &[("password", &password)]).await;
    let signed_in = stage.submit("/sign-in", &[("email", &email), ("password", &password)]).await.expect(303);
    stage.secrets.worked(&password);
    browse(stage, &signed_in).await;

    stage.submit("/forgot-password", &[("email", &email)]).await.expect(202);
    let another = stage.secrets.password("Bob's second password");
    let weak = another[..20].to_owned();
    stage.secrets.keep_unused("Bob's mistyped password", weak.as_bytes());
    stage.submit("/sign-in", &[("email", &email), ("password", &weak)]).await.expect(401);
    follow(stage, &email, "reset-password", &[("password", &another)]).await;
    let signed_in = stage.submit("/sign-in", &[("email", &email), ("password", &another)]).await.expect(303);
    stage.secrets.worked(&another);
    browse(stage, &signed_in).await;
}

/// Opens a mailed link and presses its button, which uses up the link.
async fn follow(stage: &Stage, email: &str, page: &str, form: &[(&str, &str)]) {
    let code = mailed(stage, email, page).await;
    let path = format!("/{page}/{code}");
    stage.http.send(stage.http.request(Method::GET, &path)).await.expect(200);
    stage.submit(&path, form).await.expect(200);
    stage.secrets.worked(&code);
    stage.submit(&path, form).await.expect(422);
}

async fn browse(stage: &Stage, signed_in: &Answer) {
    let cookie = signed_in.cookie();
    let value = cookie.split_once('=').expect("a value").1;
    stage.http.hands_out(&stage.secrets, signed_in, "a browser's session", value);
    let home = stage.http.request(Method::GET, "/api/v1/auth/me").header("cookie", &cookie);
    stage.http.send(home).await.expect(200);
    stage.secrets.worked(value);
}

/// Has Eve accept an invitation.
pub(crate) async fn eve(stage: &Stage, ada: &Person) {
    let email = stage.address("eve");
    let path = format!("/api/v1/tenants/{}/invitations", ada.tenant);
    let invite = stage.http.request(Method::POST, &path).bearer_auth(&ada.access);
    stage.http.send(invite.json(&json!({ "email": email, "role": "member" }))).await.expect(201);
    let password = stage.secrets.password("Eve's password");
    follow(stage, &email, "invitations", &[("name", "Eve"), ("password", &password)]).await;
    open(stage, "login", json!({ "email": email, "password": password })).await.expect(200).let_go(stage);
    stage.secrets.worked(&password);
}

impl Answer {
    /// Allows the response to contain the tokens of the person who signs in.
    fn let_go(self, stage: &Stage) {
        tokens(stage, &self, "Eve's");
    }
}

/// Registers people whose mail servers reject the email, one of them quoting it.
pub(crate) async fn refused_letters(stage: &Stage) {
    for who in ["spam", "no", "cut"] {
        let password = stage.secrets.password(&format!("password of {who}"));
        let body = json!({ "name": who, "email": stage.address(who), "password": password, "organization_name": who });
        open(stage, "register", body).await.expect(202);
        // The registration waits for a link that never arrives, so nothing else uses the password.
        stage.secrets.worked(&password);
    }
    stage.app.wait_until_some("send_mail", "discarded", 2).await;
}

/// Replays a refresh token long after it was exchanged.
pub(crate) async fn stolen_token(stage: &Stage, ada: &Person) {
    let refused = until("the token counts as stolen", Duration::from_mins(1), async || {
        let answer = open(stage, "refresh", json!({ "refresh_token": ada.spent })).await;
        if answer.status == 200 {
            tokens(stage, &answer, "Ada's");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        (answer.status == 401).then_some(())
    });
    refused.await;
    open(stage, "refresh", json!({ "refresh_token": ada.refresh })).await.expect(401);
}

/// Creates, uses, mistypes and revokes a key.
pub(crate) async fn key(stage: &Stage, ada: &Person) {
    let made = stage.http.request(Method::POST, "/api/v1/api-keys").bearer_auth(&ada.access);
    let body = json!({ "tenant_id": ada.tenant, "name": "canary", "permissions": ["*:read"] });
    let made = stage.http.send(made.json(&body)).await.expect(201);
    let key = stage.http.hands_out(&stage.secrets, &made, "an API key", &made.field("key"));
    let list =
        async |key: &str| stage.http.send(stage.http.request(Method::GET, "/api/v1/jobs").bearer_auth(key)).await;
    list(&key).await.expect(200);
    stage.secrets.worked(&key);
    // The mistyped key contains no part of the real one.
    let mistyped = format!("lk_{}", key[3..].chars().rev().collect::<String>());
    stage.secrets.keep_unused("a mistyped API key", mistyped.as_bytes());
    list(&mistyped).await.expect(401);
    let revoke = stage.http.request(Method::DELETE, &format!("/api/v1/api-keys/{}", made.field("id")));
    stage.http.send(revoke.bearer_auth(&ada.access)).await.expect(200);
    list(&key).await.expect(401);
}

/// Registers the codes of all links, including those in unsent emails.
pub(crate) async fn keep_all_codes(stage: &Stage, ada: &Person) {
    let signer = Signer::new(&stage.secret_key).expect("a long secret");
    let sql = "select purpose, id from mail_links union all select $1, id from invitations";
    let mut tx = stage.app.bench.engine.db.system().await.expect("a transaction");
    let purpose = jobs::tenants::invitations::PURPOSE;
    let links: Vec<(String, Uuid)> = sqlx::query_as(sql).bind(purpose).fetch_all(&mut *tx).await.expect("links");
    let codes: Vec<String> = links.iter().map(|(purpose, id)| signer.code(purpose, *id)).collect();
    let read = signer.read(Purpose::VerifyEmail.name(), &ada.code);
    assert!(read.is_some(), "SECRET_KEY is the one that signed");
    stage.secrets.worked_named("SECRET_KEY");
    for code in codes {
        stage.secrets.keep_unused("code of a link", code.as_bytes());
    }
}
