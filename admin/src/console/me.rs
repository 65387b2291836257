//! The page about the person: name, colours, workspaces, signing out.

use jobs::{
    engine::Scope,
    people::store::{self, UserPatch, UserRow},
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    frame::Frame,
    notice::Notice,
    parts::{Field, Refused},
    theme::Theme,
    visitor::Visitor,
};
use crate::{
    ApiError,
    api::require_tenant,
    html::{page, redirect},
    pages::Sent,
    state::AppState,
};

/// The longest first or last name.
const MAX_NAME: usize = 100;

#[derive(askama::Template)]
#[template(path = "console/me.html")]
struct MePage {
    frame: Frame,
    fields: [Field; 2],
    refused: Option<Refused>,
}

/// The names of a person, as the form sends them.
#[derive(Deserialize)]
struct Names {
    first_name: String,
    last_name: String,
}

impl From<UserRow> for Names {
    fn from(user: UserRow) -> Self {
        Self { first_name: user.first_name, last_name: user.last_name }
    }
}

fn fields(names: Names) -> [Field; 2] {
    let field =
        |name, label, value, autocomplete| Field { autocomplete, ..Field::text(name, label, value) }.at_most(MAX_NAME);
    [
        field("first_name", "First name", names.first_name, "given-name").required(),
        field("last_name", "Last name", names.last_name, "family-name"),
    ]
}

/// Shows the page.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    let frame = Frame::new(state, &visitor, "You").await?;
    let mut tx = state.db.read(Scope::System).await.map_err(ApiError::from)?;
    let user = store::get(&mut tx, visitor.person.user_id).await.map_err(ApiError::from)?;
    let user = user.ok_or_else(ApiError::unauthorized)?;
    Ok(page(StatusCode::OK, &MePage { frame, fields: fields(user.into()), refused: None }))
}

/// Changes the name.
#[handler]
pub(super) async fn rename(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(names): Sent<Names>,
) -> Result<Response> {
    let mut fields = fields(names);
    for field in &mut fields {
        field.error = objection(field);
    }
    if fields.iter().any(|field| field.error.is_some()) {
        let frame = Frame::new(state, &visitor, "You").await?;
        let refused = Refused { title: "Your name was not changed", words: "Correct what is marked.".to_owned() };
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &MePage { frame, fields, refused: Some(refused) }));
    }
    let [first, last] = fields.map(|field| Some(field.value.trim().to_owned()));
    let patch = UserPatch { first_name: first, last_name: last, picture_url: None };
    let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
    store::update(&mut tx, visitor.person.user_id, &patch).await.map_err(ApiError::from)?;
    Notice::ok("Your name was changed.").keep(state, cookies);
    visitor.leave(tx, "/me").await
}

fn objection(field: &Field) -> Option<String> {
    let value = field.value.trim();
    if field.is_required && value.is_empty() {
        return Some("Enter a name.".to_owned());
    }
    if value.chars().count() > MAX_NAME || value.contains('\0') {
        return Some(format!("Use {MAX_NAME} characters at most."));
    }
    None
}

#[derive(Deserialize)]
struct ThemeForm {
    theme: String,
    /// The page to come back to.
    back: String,
}

/// Chooses light or dark for this browser.
#[handler]
pub(super) fn choose_theme(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(form): Sent<ThemeForm>,
) -> Response {
    form.theme.parse().unwrap_or(Theme::System).keep(state, cookies);
    let there = visitor;
    redirect(&there.to(own_path(&form.back)))
}

#[derive(Deserialize)]
struct SwitchForm {
    to: Uuid,
    back: String,
}

/// Switches to another workspace, and opens a page there. Other tabs stay in theirs.
#[handler]
pub(super) async fn switch(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    Sent(form): Sent<SwitchForm>,
) -> Result<Response> {
    let tenant_id = visitor.caller.tenant(form.to)?;
    let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
    require_tenant(&mut tx, tenant_id).await?;
    store::switch(&mut tx, visitor.person.user_id, tenant_id).await.map_err(ApiError::from)?;
    let there = Visitor { workspace: Some(tenant_id), ..visitor };
    there.leave(tx, own_path(&form.back)).await
}

/// Returns the path if it is one of ours, else the first page.
fn own_path(back: &str) -> &str {
    let is_path = back.starts_with('/') && !back.starts_with("//");
    let is_plain = back.chars().all(|c| c.is_ascii_alphanumeric() || "/-_".contains(c));
    if is_path && is_plain { back } else { "/me" }
}
