//! Reads everything that the API shows.

use std::time::Duration;

use reqwest::Method;

use crate::stage::Stage;

/// Operations of a browser's login, which are called elsewhere.
const OF_A_LOGIN: &[&str] = &["/api/v1/oauth/facebook/authorize", "/api/v1/oauth/facebook/callback"];

/// Calls every read operation, as the operator.
///
/// # Panics
/// If the kind of an id in a path is unknown.
pub(crate) async fn read_everything(stage: &Stage) {
    let description = stage.get("/openapi.json").await;
    let tenants = ids(stage, "/api/v1/tenants").await;
    let (mut accounts, mut folders) = (Vec::new(), Vec::new());
    for tenant in &tenants {
        accounts.extend(ids(stage, &format!("/api/v1/tenants/{tenant}/accounts")).await);
        folders.extend(ids(stage, &format!("/api/v1/tenants/{tenant}/folders")).await);
    }
    let mut assets = Vec::new();
    for folder in &folders {
        assets.extend(ids(stage, &format!("/api/v1/folders/{folder}/assets")).await);
    }
    let jobs = ids(stage, "/api/v1/jobs?limit=200").await;
    let calendars: Vec<String> = calendars(stage).await;
    let paths = description["paths"].as_object().expect("paths");
    for (path, _) in
        paths.iter().filter(|(path, operations)| operations["get"].is_object() && !OF_A_LOGIN.contains(&path.as_str()))
    {
        let of = path.strip_prefix("/api/v1/").and_then(|path| path.split('/').next());
        let ids: &[String] = match of {
            _ if !path.contains("{id}") => &[String::new()],
            Some("tenants") => &tenants,
            Some("accounts") => &accounts,
            Some("folders") => &folders,
            Some("assets") => &assets,
            Some("calendars") => &calendars,
            Some("jobs") => &jobs,
            _ => panic!("this test does not know the id in {path}"),
        };
        assert!(!ids.is_empty(), "there is something to read at {path}");
        for id in ids {
            read(stage, &path.replace("{id}", id)).await;
        }
    }
    for path in ["/metrics", "/docs", "/", "/sign-in"] {
        read(stage, path).await;
    }
}

async fn read(stage: &Stage, path: &str) {
    // The event stream of an unfinished job does not end.
    let request = stage.operator(Method::GET, path).timeout(Duration::from_secs(20));
    if path.ends_with("/events") { stage.http.listen(request).await } else { drop(stage.http.send(request).await) }
}

async fn ids(stage: &Stage, path: &str) -> Vec<String> {
    let list = stage.get(path).await;
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// Returns the ids of the calendars. The API cannot list them, so they come from the database.
async fn calendars(stage: &Stage) -> Vec<String> {
    let mut tx = stage.app.bench.engine.db.system().await.expect("a transaction");
    sqlx::query_scalar("select id::text from content_calendar").fetch_all(&mut *tx).await.expect("ids")
}
