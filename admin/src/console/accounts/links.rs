//! Links with which clients without an account here connect theirs.

use chrono::{DateTime, Utc};
use jobs::{
    connections::{
        self,
        store::{self, ConnectLinkRow},
    },
    engine::{Scope, Tx},
    ids::ConnectLinkId,
    providers::Provider,
};
use poem::{
    IntoResponse as _, Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{PATH, Pressed, offered};
use crate::{
    ApiError,
    api::connections::connecting as provider_named,
    console::{
        frame::Frame,
        notice::{Notice, Tone},
        visitor::Visitor,
        words::{self, Look, When},
    },
    html::page,
    pages::Sent,
    state::AppState,
};

/// The newest links that are shown.
const ROWS: i64 = 20;

/// The links of a workspace, with the form for a new one.
pub(crate) struct Links {
    pub(crate) rows: Vec<Link>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) address: String,
}

/// A link, without its secret.
pub(crate) struct Link {
    pub(crate) provider: String,
    pub(crate) look: Look,
    pub(crate) made: When,
    pub(crate) ends: When,
    pub(crate) used: Option<When>,
    /// The address that revokes it; absent once it ended.
    pub(crate) revoke: Option<String>,
}

impl Links {
    pub(super) async fn read(
        tx: &mut Tx,
        state: &AppState,
        visitor: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let rows = store::list_connect_links(tx, visitor.required_workspace()?, None, ROWS).await?;
        Ok(Self {
            rows: rows.into_iter().map(|row| Link::of(&row, visitor, now)).collect(),
            providers: offered(state),
            address: visitor.to("/accounts/links"),
        })
    }
}

impl Link {
    fn of(row: &ConnectLinkRow, visitor: &Visitor, now: DateTime<Utc>) -> Self {
        let works = row.revoked_at.is_none() && row.expires_at > now;
        Self {
            provider: words::of_name(&row.provider.0),
            look: match (row.revoked_at, works) {
                (Some(_), _) => Look::new("Revoked", "off", ""),
                (None, true) => Look::of_tone(Tone::Ok, "Works"),
                (None, false) => Look::new("Expired", "off", ""),
            },
            made: When::of(row.created_at, now),
            ends: When::of(row.expires_at, now),
            used: row.last_used_at.map(|time| When::of(time, now)),
            revoke: works.then(|| visitor.to(&format!("/accounts/links/{}", row.id))),
        }
    }
}

#[derive(askama::Template)]
#[template(path = "console/link_made.html")]
struct MadePage {
    frame: Frame,
    provider: &'static str,
    url: String,
    back: String,
}

/// A new link, as the form sends it.
#[derive(Deserialize)]
struct NewLink {
    provider: String,
}

/// Makes a link, and shows it this once.
#[handler]
pub(in super::super) async fn make(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    Sent(new): Sent<NewLink>,
) -> Result<Response> {
    let tenant_id = visitor.required_workspace()?;
    let provider = provider_named(state, new.provider)?;
    let frame = Frame::new(state, &visitor, "A link for a client").await?;
    let mut tx = state.db.write(Scope::Tenant(tenant_id), &visitor.caller).await.map_err(ApiError::from)?;
    let maker = Some(visitor.person.user_id);
    let made = connections::make_link(&mut tx, &state.services, visitor.caller.actor(), (tenant_id, provider), maker);
    let (_, secret) = made.await.map_err(ApiError::from)?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let url = format!("{}/connect/link/{secret}", state.public_url);
    let shown = MadePage { frame, provider: provider.label(), url, back: visitor.to(PATH) };
    Ok(tx.answer(page(StatusCode::OK, &shown)).await?.into_response())
}

/// Revokes a link.
#[handler]
pub(in super::super) async fn revoke(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let tenant_id = visitor.required_workspace()?;
    let id = id.parse::<Uuid>().map(ConnectLinkId).map_err(|_| ApiError::not_found("link"))?;
    let mut tx = state.db.write(Scope::Tenant(tenant_id), &visitor.caller).await.map_err(ApiError::from)?;
    let revoked = connections::revoke_link(&mut tx, &state.services, visitor.caller.actor(), tenant_id, id).await;
    revoked.map_err(ApiError::from)?.ok_or_else(|| ApiError::not_found("link"))?;
    Notice::ok("The link is revoked. What was connected with it stays.").keep(state, cookies);
    visitor.leave(tx, PATH).await
}
