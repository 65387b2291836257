//! API keys: making one, which is shown once, and revoking them.

use chrono::{DateTime, Utc};
use jobs::{
    engine::Scope,
    ids::TenantId,
    tenants::{
        keys::{self, KeyRow, NewKey},
        permissions::{self, Permissions},
    },
};
use poem::{
    IntoResponse as _, Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    frame::Frame,
    notice::{Notice, Tone},
    parts::{Field, Refused},
    visitor::Visitor,
    words::{Look, When},
};
use crate::{
    ApiError,
    html::page,
    http::paging::{decode, encode},
    pages::Sent,
    state::AppState,
};

/// The keys on one page.
const ROWS: i64 = 50;

/// The longest name.
const MAX_NAME: usize = 200;

/// The permission to make and revoke keys.
const MAY_CHANGE: &str = "api-keys:write";

/// Permissions that stand for many, with their words.
const WIDE: [(&str, &str); 2] = [("*:read", "Read everything"), ("*", "Everything")];

#[derive(askama::Template)]
#[template(path = "console/keys.html")]
struct KeysPage {
    frame: Frame,
    keys: Vec<Key>,
    next: Option<String>,
    /// The form for a new key; absent for those who may make none.
    form: Option<Form>,
    address: String,
}

/// A key, without its secret.
struct Key {
    name: String,
    prefix: String,
    look: Look,
    permissions: String,
    made: When,
    used: Option<When>,
    /// The address that revokes it; absent if it was revoked, or may not be.
    revoke_address: Option<String>,
}

/// The form for a new key.
struct Form {
    name: Field,
    /// The permissions: the name, the words, true if it is chosen.
    wide: Vec<(&'static str, &'static str, bool)>,
    narrow: Vec<(&'static str, bool)>,
    refused: Option<Refused>,
}

impl Key {
    fn of(row: KeyRow, visitor: &Visitor, may_change: bool, now: DateTime<Utc>) -> Self {
        let is_revoked = row.revoked_at.is_some();
        let may_revoke = may_change && !is_revoked;
        Self {
            look: if is_revoked { Look::new("Revoked", "off", "") } else { Look::of_tone(Tone::Ok, "Valid") },
            permissions: row.permissions.join(", "),
            made: When::of(row.created_at, now),
            used: row.last_used_at.map(|time| When::of(time, now)),
            revoke_address: may_revoke.then(|| visitor.to(&format!("/keys/{}", row.id))),
            name: row.name,
            prefix: row.prefix,
        }
    }
}

impl Form {
    fn new(name: &str, chosen: &[String], error: Option<String>) -> Self {
        let is_chosen = |name: &str| chosen.iter().any(|chosen| chosen == name);
        let field = Field::text("name", "Name", name).hinted("What it is for, or who holds it").at_most(MAX_NAME);
        let refused = error.map(|words| Refused { title: "No key was made", words });
        Self {
            name: field.required(),
            wide: WIDE.map(|(name, words)| (name, words, is_chosen(name))).into(),
            narrow: permissions::ALL.iter().map(|&name| (name, is_chosen(name))).collect(),
            refused,
        }
    }
}

/// Returns the tenant whose keys a page is about. Operators' keys belong to the system's tenant.
fn holder(visitor: &Visitor) -> Result<TenantId, ApiError> {
    match visitor.workspace {
        Some(id) => Ok(id),
        None => Ok(visitor.caller.own_tenant()?.unwrap_or(TenantId::SYSTEM)),
    }
}

/// Shows them.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    let form = Form::new("", &[WIDE[0].0.to_owned()], None);
    Ok(page(StatusCode::OK, &shown(state, &visitor, form).await?))
}

async fn shown(state: &AppState, visitor: &Visitor, form: Form) -> Result<KeysPage, ApiError> {
    let (tenant_id, may_change) = (holder(visitor)?, visitor.may(MAY_CHANGE));
    let after = visitor.asked("after").and_then(|after| decode(&after));
    let mut tx = state.db.read(Scope::of(tenant_id)).await?;
    let now = tx.now().await?;
    let rows = keys::list(&mut tx, tenant_id, after, ROWS).await?;
    drop(tx);
    let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) == ROWS;
    let last = rows.last().filter(|_| is_full).map(|row| encode((row.created_at, row.id)));
    Ok(KeysPage {
        frame: Frame::new(state, visitor, "Keys").await?,
        keys: rows.into_iter().map(|row| Key::of(row, visitor, may_change, now)).collect(),
        next: last.map(|place| visitor.to(&format!("/keys?after={place}"))),
        form: may_change.then_some(form),
        address: visitor.to("/keys"),
    })
}

#[derive(askama::Template)]
#[template(path = "console/key_made.html")]
struct MadePage {
    frame: Frame,
    name: String,
    key: String,
    back: String,
}

/// Makes a key, and shows it this once.
#[handler]
pub(super) async fn make(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    Sent(fields): Sent<Vec<(String, String)>>,
) -> Result<Response> {
    let of = |wanted: &str| -> Vec<String> {
        fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    let (name, chosen) = (of("name").concat().trim().to_owned(), of("permission"));
    let permissions = match objection(&name, &chosen) {
        Ok(permissions) => permissions,
        Err(words) => {
            let form = Form::new(&name, &chosen, Some(words));
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &shown(state, &visitor, form).await?));
        }
    };
    let tenant_id = holder(&visitor)?;
    visitor.caller.may_give(tenant_id, &permissions)?;
    let new = NewKey { tenant_id, name: name.clone(), permissions, maker: Some(visitor.person.user_id) };
    let frame = Frame::new(state, &visitor, "A new key").await?;
    let mut tx = state.db.write(Scope::of(tenant_id), &visitor.caller).await.map_err(ApiError::from)?;
    let (_, key) = keys::issue(&mut tx, &state.services, visitor.caller.actor(), &new).await.map_err(ApiError::from)?;
    let shown = MadePage { frame, name, key, back: visitor.to("/keys") };
    Ok(tx.answer(page(StatusCode::OK, &shown)).await?.into_response())
}

fn objection(name: &str, chosen: &[String]) -> Result<Permissions, String> {
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains('\0') {
        return Err(format!("Enter a name of 1 to {MAX_NAME} characters."));
    }
    if chosen.is_empty() {
        return Err("Choose what the key may do.".to_owned());
    }
    Permissions::named(chosen.to_vec()).map_err(|unknown| format!("{unknown}. Choose from the list."))
}

/// The form has a button only.
#[derive(Deserialize)]
struct Pressed {}

/// Revokes a key.
#[handler]
pub(super) async fn revoke(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let id: Uuid = id.parse().map_err(|_| ApiError::not_found("key"))?;
    let tenant_id = holder(&visitor)?;
    let caller = &visitor.caller;
    let mut tx = state.db.write(Scope::of(tenant_id), caller).await.map_err(ApiError::from)?;
    let may_revoke = |key: &KeyRow| caller.may_give(key.tenant_id, &Permissions::stored(key.permissions.clone()));
    let row = keys::revoke(&mut tx, &state.services, caller.actor(), id, may_revoke).await?;
    let row = row.ok_or_else(|| ApiError::not_found("key"))?;
    Notice::ok(format!("The key \u{201c}{}\u{201d} is revoked. The next request with it is refused.", row.name))
        .keep(state, cookies);
    visitor.leave(tx, "/keys").await
}
