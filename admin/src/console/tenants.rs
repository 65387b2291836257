//! The tenants, for operators: finding one, and what there is to know about it.

mod tenant;

use jobs::{
    engine::Scope,
    tenants::store::{self, TenantSummary, Viewer},
};
use poem::{Response, Result, handler, http::StatusCode, web::Data};

pub(super) use self::tenant::{change_plan, erase, show as show_tenant};
use super::{
    frame::Frame,
    visitor::Visitor,
    words::{self, When},
};
use crate::{
    ApiError,
    html::page,
    http::paging::{decode, encode},
    state::AppState,
};

/// The tenants on one page.
const ROWS: i64 = 50;

#[derive(askama::Template)]
#[template(path = "console/tenants.html")]
struct TenantsPage {
    frame: Frame,
    asked: String,
    tenants: Vec<Line>,
    next: Option<String>,
}

/// A tenant in the list.
struct Line {
    name: String,
    email: String,
    plan: &'static str,
    posts: String,
    images: String,
    since: When,
    address: String,
}

/// Shows them.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    visitor.caller.operator()?;
    let asked = visitor.asked("q").unwrap_or_default();
    let after = visitor.asked("after").and_then(|after| decode(&after));
    let (rows, now) = async {
        let mut tx = state.db.read(Scope::System).await?;
        let now = tx.now().await?;
        let viewer = Viewer { text: Some(asked.clone()).filter(|text| !text.is_empty()), ..Viewer::default() };
        Ok::<_, ApiError>((store::list(&mut tx, &viewer, after, ROWS).await?, now))
    }
    .await?;
    let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) == ROWS;
    let last = rows.last().filter(|_| is_full).map(|row| encode(&(row.tenant.created_at, row.tenant.id.0)));
    let query: String = url::form_urlencoded::byte_serialize(asked.as_bytes()).collect();
    let line = |row: TenantSummary| Line {
        email: row.tenant.email.unwrap_or_default(),
        plan: row.tenant.plan.name(),
        posts: words::count(row.posts, "post", "posts"),
        images: words::count(row.images, "picture", "pictures"),
        since: When::of(row.tenant.created_at, now),
        address: format!("/tenants/{}", row.tenant.id),
        name: row.tenant.name,
    };
    let frame = Frame::new(state, &visitor, "Workspaces").await?;
    let next = last.map(|place| format!("/tenants?q={query}&after={place}"));
    Ok(page(StatusCode::OK, &TenantsPage { frame, asked, tenants: rows.into_iter().map(line).collect(), next }))
}
