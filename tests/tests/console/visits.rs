//! Pages without a browser: what they say, and what their forms answer.

use reqwest::{Method, Response};
use tests::TestApp;

/// Opens a page. Returns the status and the page.
pub(crate) async fn get(app: &TestApp, cookie: &str, path: &str) -> (u16, String) {
    let request = app.anonymous(Method::GET, path).header("cookie", cookie).header("accept", "text/html");
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Sends a form of one of our pages.
pub(crate) async fn post(app: &TestApp, cookie: &str, path: &str, form: &[(&str, &str)]) -> Response {
    let request = app.anonymous(Method::POST, path).header("cookie", cookie).header("origin", &app.url);
    request.header("accept", "text/html").form(form).send().await.unwrap()
}

/// Returns the address of a page in the only workspace of somebody.
pub(crate) async fn own(app: &TestApp, cookie: &str, path: &str) -> String {
    let answer = app.anonymous(Method::GET, path).header("cookie", cookie).send().await.unwrap();
    answer.headers()["location"].to_str().unwrap().to_owned()
}
