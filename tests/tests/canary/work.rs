//! The work at the providers, and its failures. Each response quotes the credentials of its call.

use std::{io::Cursor, time::Duration};

use chrono::Datelike as _;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tests::until;
use url::Url;
use uuid::Uuid;

use crate::{
    people::Person,
    stage::{PUBLIC, Stage},
};

/// The message of a careless provider.
const WORDS: &str = "You called us with {credentials}";

fn graph_error(code: u32) -> Value {
    json!({ "graph_error": { "code": code, "message": WORDS } })
}

/// Connects the sandbox's Page in a browser. Most calls fail once.
pub(crate) async fn connect(stage: &Stage, ada: &Person) {
    for operation in ["exchange_code", "exchange_token", "read_me"] {
        stage.faults(operation, [graph_error(2)]).await;
    }
    // The fifth failure would be the last.
    stage.faults("list_accounts", [json!({ "status": 503, "body": WORDS })]).await;
    let path = format!("/api/v1/oauth/facebook/authorize?tenant_id={}", ada.tenant);
    let begun = stage.http.send(stage.operator(Method::GET, &path)).await.expect(200);
    stage.secrets.worked_named("key of the operators");
    let link = begun.field("url");
    let ticket = link.rsplit('/').next().unwrap_or_default();
    stage.http.hands_out(&stage.secrets, &begun, "a ticket to connect", ticket);
    let page = format!("/connect/{ticket}");
    stage.http.send(stage.http.request(Method::GET, &page)).await.expect(200);
    let opened = stage.submit(&page, &[]).await.expect(200);
    stage.secrets.worked(ticket);
    let refresh = opened.headers["refresh"].to_str().expect("a text");
    let dialog: Url = refresh.split_once("url=").expect("an address").1.parse().expect("an address");
    let login = parameter(&dialog, "state");
    stage.http.hands_out(&stage.secrets, &opened, "the state of a login", &login);
    let cookie = opened.cookie();
    let browser = cookie.split_once('=').expect("a value").1;
    stage.http.hands_out(&stage.secrets, &opened, "the browser of a login", browser);

    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let allowed = client.get(dialog).send().await.expect("the dialog responds");
    let back = allowed.headers()["location"].to_str().expect("a text");
    let back = back.strip_prefix(PUBLIC).expect("it leads to us");
    let request = stage.http.request(Method::GET, back).header("cookie", &cookie);
    let back_here = stage.http.send(request).await.expect(303);
    // The browser keeps its secret, to see the result.
    stage.http.may_hold(&stage.secrets, &back_here, browser);
    stage.secrets.worked(&login);
    stage.secrets.worked(browser);
    // A state is valid for one login.
    stage.http.send(stage.http.request(Method::GET, back).header("cookie", &cookie)).await.expect(400);
    stage.push("exchange_oauth_code").await;
    stage.secrets.worked_named("FACEBOOK_APP_SECRET");
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(found, _)| found == name).expect("it is there").1.into_owned()
}

/// Has the user's token refreshed.
pub(crate) async fn refresh(stage: &Stage, ada: &Person) {
    stage.faults("exchange_token", [graph_error(1)]).await;
    let mut tx = stage.app.bench.engine.db.system().await.expect("a transaction");
    let token: Uuid = sqlx::query_scalar("select id from oauth_tokens where kind = 'user'")
        .fetch_one(&mut *tx)
        .await
        .expect("a token");
    drop(tx);
    let job = json!({ "tenant_id": ada.tenant, "kind": "refresh_token", "args": { "token_id": token } });
    stage.post("/api/v1/jobs", job).await.expect(202);
    stage.push("refresh_token").await;
}

/// Has a month written. The model fails in every way that quotes credentials.
pub(crate) async fn write(stage: &Stage, ada: &Person) {
    let error = |kind: &str, code: &str| json!({ "error": { "message": WORDS, "type": kind, "code": code } });
    let faults = [
        json!({ "status": 401, "body": error("invalid_request_error", "invalid_api_key") }),
        json!({ "status": 429, "body": error("requests", "rate_limit_exceeded") }),
        json!({ "status": 500, "body": error("server_error", "server_error") }),
        json!({ "status": 403, "body": WORDS }),
        json!({ "status": 200, "body": { "answer": WORDS } }),
        json!({ "status": 200, "body": WORDS }),
    ];
    stage.faults("chat_completion", faults).await;
    let month = format!("{}-01", stage.app.bench.now().await.year() + 1);
    let path = format!("/api/v1/tenants/{}/calendars", ada.tenant);
    stage.post(&path, json!({ "month": month, "posts": 2, "brief": "Pizza" })).await.expect(202);
    stage.push("generate_calendar").await;
    stage.push("write_caption").await;
    stage.secrets.worked_named("OPENAI_API_KEY");
}

/// Publishes posts with and without a picture: some succeed, some lose their response, and some are
/// refused.
pub(crate) async fn publish(stage: &Stage, ada: &Person) {
    let path = format!("/api/v1/tenants/{}/accounts", ada.tenant);
    let account = stage.get(&path).await["items"][0]["id"].clone();
    let folder = stage.post("/api/v1/folders", json!({ "tenant_id": ada.tenant, "name": "Photos" })).await.expect(201);
    let upload = stage.operator(Method::POST, &format!("/api/v1/folders/{}/assets", folder.field("id")));
    let file = Part::bytes(png()).file_name("pizza.png").mime_str("image/png").expect("a media type");
    let asset = stage.http.send(upload.multipart(Form::new().part("file", file))).await.expect(201).field("id");
    let publish = async |caption: &str, asset: Option<&str>| {
        let body = json!({
            "tenant_id": ada.tenant, "account_ids": [account], "caption": caption, "asset_id": asset,
        });
        stage.post("/api/v1/posts/create", body).await.expect(202);
    };
    stage.faults("stage_photo", [graph_error(101)]).await;
    publish("a picture", Some(&asset)).await;
    stage.push("publish_post").await;
    stage.faults("publish_feed", [json!({ "drop": "after" })]).await;
    publish("lost", None).await;
    stage.app.wait_until_some("publish_post", "completed", 2).await;
    stage.faults("publish_feed", [graph_error(324)]).await;
    publish("refused", None).await;
    stage.app.wait_until_some("publish_post", "discarded", 1).await;
    stage.faults("read_feed", [graph_error(2)]).await;
    stage.faults("publish_feed", [json!({ "status": 500, "body": WORDS })]).await;
    publish("unclear", None).await;
    stage.app.wait_until_some("publish_post", "suspended", 1).await;
    stage.faults("publish_feed", [graph_error(190)]).await;
    publish("not allowed any more", None).await;
    until("the account is parked", Duration::from_mins(1), async || {
        let parked = stage.get("/api/v1/parked-accounts").await;
        parked["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(())
    })
    .await;
}

fn png() -> Vec<u8> {
    let mut png = Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(640, 480, image::Rgb([200, 90, 40]));
    picture.write_to(&mut png, image::ImageFormat::Png).expect("a picture");
    png.into_inner()
}

/// Runs jobs that fail by themselves.
pub(crate) async fn panic(stage: &Stage) {
    let args = json!({ "what": "panic", "attempts": 1 });
    let job = json!({ "tenant_id": stage.app.bench.tenant_id, "kind": "fault_probe", "args": args });
    stage.post("/api/v1/jobs", job).await.expect(202);
    stage.push("fault_probe").await;
}

/// Registers the secrets that the sandbox handed out, and checks that the required ones were used.
pub(crate) async fn keep_all_tokens(stage: &Stage) {
    let url = format!("{}/control/secrets", stage.app.bench.sandbox.base);
    let handed_out: Value = reqwest::get(url).await.expect("the sandbox responds").json().await.expect("JSON");
    for code in handed_out["codes"].as_array().expect("codes") {
        stage.secrets.keep_unused("a code of Facebook", code["value"].as_str().expect("a text").as_bytes());
        assert_eq!(code["used"], json!(true), "the code was exchanged");
    }
    let tokens = handed_out["tokens"].as_array().expect("tokens");
    for kind in ["user_long", "page"] {
        let used = |token: &&Value| token["kind"] == kind && token["uses"].as_u64() > Some(0);
        assert!(tokens.iter().any(|token| used(&token)), "a {kind} token was used: {:?}", kinds(tokens));
    }
    for token in tokens {
        for part in ["value", "proof"] {
            let name = format!("{part} of a token of Facebook");
            stage.secrets.keep_unused(&name, token[part].as_str().expect("a text").as_bytes());
        }
    }
}

fn kinds(tokens: &[Value]) -> Vec<String> {
    tokens.iter().map(|token| format!("{} {}", token["kind"], token["uses"])).collect()
}
