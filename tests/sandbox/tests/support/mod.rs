//! A separate sandbox for each test, and a strict client for it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(dead_code, reason = "each test file uses its own part of the support")]

use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use image::{ImageFormat, RgbImage};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use sandbox::Sandbox;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

pub(crate) const APP_ID: &str = "100200300400500";
pub(crate) const APP_SECRET: &str = "sandbox-app-secret";
pub(crate) const PAGE: &str = "10158250000000101";
pub(crate) const PERSON: &str = "10220000000000011";
pub(crate) const REDIRECT: &str = "https://app.example/callback?from=facebook";
pub(crate) const SCOPES: &str = "pages_show_list,pages_read_engagement,pages_manage_posts";

/// One world of a sandbox that ends with the test.
pub(crate) struct World {
    pub(crate) base_url: String,
    pub(crate) http: Client,
}

impl World {
    pub(crate) async fn start() -> Self {
        let sandbox = Sandbox::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let base_url = format!("{}/test-1", sandbox.base_url());
        tokio::spawn(sandbox.serve());
        // A pooled connection would be retried without the test's knowledge.
        let http = Client::builder().redirect(Policy::none()).no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { base_url, http }
    }

    /// Returns another world of the same sandbox.
    pub(crate) fn other(&self, name: &str) -> Self {
        let base_url = self.base_url.replace("test-1", name);
        Self { base_url, http: self.http.clone() }
    }

    pub(crate) async fn control(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}/control/{path}", self.base_url)).send().await.unwrap();
        response.json().await.unwrap()
    }

    pub(crate) async fn set(&self, path: &str, body: Value) -> Value {
        let response = self.try_set(path, body).await;
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    pub(crate) async fn try_set(&self, path: &str, body: Value) -> Response {
        self.http.post(format!("{}/control/{path}", self.base_url)).json(&body).send().await.unwrap()
    }

    pub(crate) async fn effects(&self) -> Vec<Value> {
        self.control("effects").await["items"].as_array().unwrap().clone()
    }

    /// Goes through the dialog, and returns the redirect.
    pub(crate) async fn dialog(&self, changes: &[(&str, &str)]) -> Response {
        let mut query = vec![
            ("client_id", APP_ID),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("state", "st&te"),
            ("scope", SCOPES),
        ];
        query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        query.extend_from_slice(changes);
        let address = format!("{}/facebook/v25.0/dialog/oauth", self.base_url);
        self.http.get(address).query(&query).send().await.unwrap()
    }

    pub(crate) async fn code(&self) -> String {
        let response = self.dialog(&[]).await;
        assert_eq!(response.status(), 302);
        query_of(&location(&response), "code").unwrap()
    }

    pub(crate) async fn exchange(&self, params: &[(&str, &str)]) -> Response {
        let mut query = vec![("client_id", APP_ID), ("client_secret", APP_SECRET), ("redirect_uri", REDIRECT)];
        query.retain(|(name, _)| !params.iter().any(|(changed, _)| changed == name));
        query.extend_from_slice(params);
        let address = format!("{}/graph/v25.0/oauth/access_token", self.base_url);
        self.http.get(address).query(&query).send().await.unwrap()
    }

    /// Returns a short-lived user token.
    pub(crate) async fn user_token(&self) -> String {
        let code = self.code().await;
        token_in(self.exchange(&[("code", &code)]).await).await
    }

    pub(crate) async fn long_token(&self, token: &str) -> Response {
        self.exchange(&[("grant_type", "fb_exchange_token"), ("fb_exchange_token", token)]).await
    }

    /// Returns the token of the first Page, which never expires.
    pub(crate) async fn page_token(&self) -> String {
        let token = token_in(self.long_token(&self.user_token().await).await).await;
        let pages = json_of(self.get("me/accounts", &token, &[]).await).await;
        pages["data"][0]["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, path: &str, token: &str, params: &[(&str, &str)]) -> Response {
        self.call(Method::GET, path, token, params).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, params: &[(&str, &str)]) -> Response {
        self.call(Method::POST, path, token, params).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, params: &[(&str, &str)]) -> Response {
        let address = format!("{}/graph/v25.0/{path}", self.base_url);
        let request = self.http.request(method.clone(), address);
        let proof = proof(token);
        let request = request.bearer_auth(token);
        let params: Vec<(&str, &str)> = [("appsecret_proof", proof.as_str())].iter().chain(params).copied().collect();
        let request = if method == Method::POST { request.form(&params) } else { request.query(&params) };
        request.send().await.unwrap()
    }

    pub(crate) async fn try_photo(&self, token: &str, caption: &str, bytes: Vec<u8>) -> reqwest::Result<Response> {
        let form = Form::new()
            .text("access_token", token.to_owned())
            .text("appsecret_proof", proof(token))
            .text("caption", caption.to_owned())
            .part("source", Part::bytes(bytes).file_name("picture.jpg"));
        self.http.post(format!("{}/graph/v25.0/{PAGE}/photos", self.base_url)).multipart(form).send().await
    }

    pub(crate) async fn photo(&self, token: &str, caption: &str) -> Value {
        json_of(self.try_photo(token, caption, jpeg(64, 48)).await.unwrap()).await
    }

    /// Uploads an unpublished picture, and returns its id.
    pub(crate) async fn stage(&self, token: &str, bytes: Vec<u8>) -> String {
        let form = Form::new()
            .text("access_token", token.to_owned())
            .text("appsecret_proof", proof(token))
            .text("published", "false")
            .part("source", Part::bytes(bytes).file_name("picture.jpg"));
        let request = self.http.post(format!("{}/graph/v25.0/{PAGE}/photos", self.base_url)).multipart(form);
        let answer = json_of(request.send().await.unwrap()).await;
        assert!(answer["post_id"].is_null(), "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Publishes a text, and returns the post's id.
    pub(crate) async fn say(&self, token: &str, message: &str) -> String {
        let answer = json_of(self.post(&format!("{PAGE}/feed"), token, &[("message", message)]).await).await;
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Returns the posts of the feed with these fields.
    pub(crate) async fn feed(&self, token: &str, fields: &str) -> Vec<Value> {
        let answer = json_of(self.get(&format!("{PAGE}/feed"), token, &[("fields", fields)]).await).await;
        answer["data"].as_array().unwrap().clone()
    }

    pub(crate) async fn chat(&self, body: &Value) -> Response {
        let address = format!("{}/openai/v1/chat/completions", self.base_url);
        self.http.post(address).bearer_auth("sk-test").json(body).send().await.unwrap()
    }
}

pub(crate) fn proof(token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
    mac.update(token.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(width, height).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

pub(crate) fn location(response: &Response) -> Url {
    response.headers()["location"].to_str().unwrap().parse().unwrap()
}

pub(crate) fn query_of(address: &Url, name: &str) -> Option<String> {
    address.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

pub(crate) async fn json_of(response: Response) -> Value {
    response.json().await.unwrap()
}

pub(crate) async fn token_in(response: Response) -> String {
    json_of(response).await["access_token"].as_str().unwrap().to_owned()
}

/// Returns status, code and subcode of Graph's error.
pub(crate) async fn error_of(response: Response) -> (u16, Value, Value) {
    let status = response.status().as_u16();
    let error = json_of(response).await["error"].take();
    (status, error["code"].clone(), error["error_subcode"].clone())
}

/// Returns the same triple from its parts.
pub(crate) fn error(status: u16, code: u32, subcode: Option<u32>) -> (u16, Value, Value) {
    (status, json!(code), json!(subcode))
}
