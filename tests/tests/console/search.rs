//! The search box: what is found, by whom, by keyboard and without JavaScript.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tests::TestApp;
use uuid::Uuid;

use super::{
    browser::{Chromium, cookie_of, operator_cookie_of},
    visits::{get, own},
};

/// Plans a post, and returns its id.
async fn post(app: &TestApp) -> Uuid {
    let account = app.bench.connect_page().await;
    let post = json!({
        "tenant_id": app.bench.tenant_id, "account_ids": [account], "caption": "Two for one on Tuesday",
    });
    let (status, post) = app.post("/api/v1/posts/create", post).await;
    assert!(status.is_success(), "{post}");
    post["posts"][0]["id"].as_str().unwrap().parse().unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn everything_is_found_by_id_and_a_workspaces_by_words(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, "ops@example.com").await;
    let (post, picture, tenant) = (post(&app).await, app.bench.picture().await, app.bench.tenant_id);
    let page = async |query: &str| get(&app, &cookie, &format!("/search{query}")).await.1;
    for (query, words) in [
        ("", "Enter an id, or words"),
        ("?q=x", "Enter 2 to 200 characters"),
        ("?q=zzzz", "Nothing found"),
        ("?q=publish", "Publish post"),
        ("?q=Tuesday", "words find jobs only"),
    ] {
        let shown = page(query).await;
        assert!(shown.contains(words), "{query} {shown}");
    }
    let found = page(&format!("?q={post}")).await;
    assert!(found.contains("Two for one on Tuesday") && found.contains("Scheduled"), "{found}");
    assert!(found.contains("href=\"/jobs/"), "the job that publishes it: {found}");
    for (words, expected) in [("tuesday", "Two for one on Tuesday"), ("pizza", "photo.png")] {
        let found = page(&format!("?q={words}&workspace={tenant}")).await;
        assert!(found.contains(expected), "{words} {found}");
    }
    app.bench.drain().await;
    assert!(page(&format!("?q={post}")).await.contains("Published"));

    let ada = cookie_of(&app, "ada@example.com").await;
    let hers = own(&app, &ada, "/search").await;
    for theirs in [post.to_string(), picture.to_string(), "tuesday".to_owned()] {
        let (status, shown) = get(&app, &ada, &format!("{hers}&q={theirs}")).await;
        assert!(status == 200 && shown.contains("Nothing found") && !shown.contains("for one"), "{shown}");
    }
    let (status, _) = get(&app, &ada, &format!("/search?q=tuesday&workspace={tenant}")).await;
    assert_eq!(status, 404, "another's workspace");
    let signed_out =
        app.anonymous(Method::GET, "/search?q=tuesday").header("accept", "text/html").send().await.unwrap();
    assert_eq!(signed_out.headers()["location"], "/sign-in?next=%2Fsearch%3Fq%3Dtuesday");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_leads_to_the_box_which_needs_no_javascript(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cookie = operator_cookie_of(&app, "ops@example.com").await;
    let post = post(&app).await;
    let chromium = Chromium::start().await;
    for has_scripts in [true, false] {
        let tab = chromium.tab().await;
        if !has_scripts {
            tab.without_scripts().await;
        }
        tab.sign_in(&app, &cookie).await;
        tab.open(&format!("{}/operators", app.url)).await;
        if has_scripts {
            tab.press("/").await;
        } else {
            tab.tab_to("#find").await;
        }
        tab.until("document.activeElement.id === 'find'").await;
        tab.write(&post.to_string()).await;
        tab.press("Enter").await;
        tab.until("location.pathname === '/search' && document.querySelectorAll('main li').length === 1").await;
        assert_eq!(tab.look::<String>("document.querySelector('#find').value").await, post.to_string());
        assert_eq!(tab.complaints(), Vec::<String>::new());
    }
    app.bench.drain().await;
    chromium.close().await;
}
