//! The page about a workspace's own keys at OpenAI and Publer.

use chrono::{DateTime, Utc};
use jobs::{
    engine::Scope,
    service_keys::{
        self, KeyError, OwnKey, Service,
        store::{self, ServiceKeyRow},
    },
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use super::{
    frame::Frame,
    notice::{Notice, Tone},
    parts::{Field, Refused},
    visitor::Visitor,
    words::{Look, When},
};
use crate::{ApiError, database::WriteTx, html::page, pages::Sent, state::AppState};

/// The path of the page.
pub(super) const PATH: &str = "/workspace/keys";

#[derive(askama::Template)]
#[template(path = "console/service_keys.html")]
struct ServiceKeysPage {
    frame: Frame,
    cards: Vec<Card>,
    may_write: bool,
}

/// A service with its key.
struct Card {
    name: &'static str,
    label: &'static str,
    purpose: &'static str,
    look: Look,
    /// The end of the key, and the time at which it was entered.
    key: Option<(String, When)>,
    refusal: Option<String>,
    /// The workspaces to choose from, if there are several.
    workspaces: Vec<(String, String)>,
    /// The name of the chosen workspace.
    workspace: String,
    workspace_id: String,
    field: Field,
    refused: Option<Refused>,
    address: String,
}

impl Card {
    fn of(service: Service, row: Option<ServiceKeyRow>, visitor: &Visitor, now: DateTime<Utc>) -> Self {
        let look = match &row {
            None => Look::new("None", "off", ""),
            Some(row) if row.refused_at.is_some() => Look::of_tone(Tone::Bad, "Refused"),
            Some(row) if service == Service::Publer && row.workspace_id.is_none() => {
                Look::of_tone(Tone::Warn, "Choose a workspace")
            }
            Some(_) => Look::of_tone(Tone::Ok, "In use"),
        };
        let purpose = match service {
            Service::Openai => "AI writes with your key, and OpenAI bills you. Without one, it writes with ours.",
            Service::Publer => {
                "Publer reaches networks that we do not. Your key connects the accounts of one of your workspaces there."
            }
        };
        let (workspaces, workspace_id) = row.as_ref().map_or((Vec::new(), String::new()), |row| {
            let all = row.workspaces.iter().map(|one| (one.id.clone(), one.name.clone())).collect();
            (all, row.workspace_id.clone().unwrap_or_default())
        });
        let workspace = workspaces.iter().find(|(id, _)| *id == workspace_id).map(|(_, name)| name.clone());
        let label = match service {
            Service::Openai => "OpenAI key",
            Service::Publer => "Publer key",
        };
        let field = Field { kind: "password", id: format!("{}-key", service.name()), ..Field::text("key", label, "") };
        Self {
            name: service.name(),
            label: service.label(),
            purpose,
            look,
            refusal: row.as_ref().and_then(|row| row.refusal.clone()),
            key: row.map(|row| (row.last_four, When::of(row.created_at, now))),
            workspaces: if workspaces.len() > 1 { workspaces } else { Vec::new() },
            workspace: workspace.unwrap_or_default(),
            workspace_id,
            field: field.at_most(512).required(),
            refused: None,
            address: visitor.to(&format!("{PATH}/{}", service.name())),
        }
    }

    /// The address of one of its other forms.
    fn to(&self, form: &str) -> String {
        self.address.replacen(self.name, &format!("{}/{form}", self.name), 1)
    }
}

/// Shows the page.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    Ok(page(StatusCode::OK, &shown(state, &visitor).await?))
}

async fn shown(state: &AppState, visitor: &Visitor) -> Result<ServiceKeysPage, ApiError> {
    let id = visitor.required_workspace()?;
    let mut tx = state.db.read(Scope::Tenant(id)).await?;
    let now = tx.now().await?;
    let mut cards = Vec::new();
    for service in [Service::Openai, Service::Publer] {
        cards.push(Card::of(service, store::get(&mut tx, id, service).await?, visitor, now));
    }
    drop(tx);
    let frame = Frame::new(state, visitor, "Own keys").await?;
    Ok(ServiceKeysPage { frame, cards, may_write: visitor.may("tenants:write") })
}

fn named(name: &str) -> Result<Service, ApiError> {
    let known = [Service::Openai, Service::Publer];
    known.into_iter().find(|service| service.name() == name).ok_or_else(|| ApiError::not_found("service"))
}

/// A key as it was entered.
#[derive(Deserialize)]
struct Entered {
    key: String,
}

/// Checks a key at its service, and stores it.
#[handler]
pub(super) async fn put(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(service): Path<String>,
    Sent(entered): Sent<Entered>,
) -> Result<Response> {
    let service = named(&service)?;
    let label = service.label();
    match save(state, &visitor, service, &entered.key).await {
        Ok((tx, true)) => {
            Notice::ok(format!("The key was checked at {label} and is in use.")).keep(state, cookies);
            visitor.leave(tx, PATH).await
        }
        Ok((tx, false)) => {
            Notice::warn(format!("The key was checked at {label}. Choose the workspace to use.")).keep(state, cookies);
            visitor.leave(tx, PATH).await
        }
        Err(error) => {
            let error = ApiError::from(error);
            let mut shown = shown(state, &visitor).await?;
            if let Some(card) = shown.cards.iter_mut().find(|card| card.name == service.name()) {
                card.field.error = Some(error.detail().to_owned());
                let words = "Nothing was changed. Correct what is marked.".to_owned();
                card.refused = Some(Refused { title: "The key was not stored", words });
            }
            Ok(page(error.status(), &shown))
        }
    }
}

/// Stores a key that its service accepts. Returns true if it is in use, and false if a workspace
/// has to be chosen first.
async fn save(state: &AppState, visitor: &Visitor, service: Service, key: &str) -> Result<(WriteTx, bool), KeyError> {
    let (services, actor) = (&state.services, visitor.caller.actor());
    let id = visitor.workspace.ok_or(KeyError::MissingTenant)?;
    let key = OwnKey::parse(key)?;
    let workspaces = match service {
        Service::Openai => {
            service_keys::check_openai(services, &key).await?;
            Vec::new()
        }
        Service::Publer => service_keys::check_publer(services, &key).await?,
    };
    let mut tx = state.db.write(Scope::Tenant(id), &visitor.caller).await?;
    let is_in_use = match service {
        Service::Openai => {
            service_keys::put_openai(&mut tx, services, actor, id, &key).await?;
            true
        }
        Service::Publer => {
            let new = (&key, workspaces.as_slice(), None);
            service_keys::put_publer(&mut tx, services, actor, id, new).await?.workspace_id.is_some()
        }
    };
    Ok((tx, is_in_use))
}

/// A choice of a workspace.
#[derive(Deserialize)]
struct Chosen {
    workspace_id: String,
}

/// Chooses the workspace of a key.
#[handler]
pub(super) async fn choose(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(service): Path<String>,
    Sent(chosen): Sent<Chosen>,
) -> Result<Response> {
    if named(&service)? != Service::Publer {
        return Err(ApiError::not_found("page").into());
    }
    let id = visitor.required_workspace()?;
    let (services, actor) = (&state.services, visitor.caller.actor());
    let mut tx = state.db.write(Scope::Tenant(id), &visitor.caller).await.map_err(ApiError::from)?;
    let row = service_keys::choose_workspace(&mut tx, services, actor, id, &chosen.workspace_id).await;
    row.map_err(ApiError::from)?.ok_or_else(|| ApiError::not_found("key"))?;
    Notice::ok("The accounts of the workspace are being connected.").keep(state, cookies);
    visitor.leave(tx, PATH).await
}

/// The form has a button only.
#[derive(Deserialize)]
struct Pressed {}

/// Removes a key.
#[handler]
pub(super) async fn remove(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(service): Path<String>,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let service = named(&service)?;
    let id = visitor.required_workspace()?;
    let mut tx = state.db.write(Scope::Tenant(id), &visitor.caller).await.map_err(ApiError::from)?;
    let actor = visitor.caller.actor();
    service_keys::delete(&mut tx, &state.services, actor, id, service).await.map_err(ApiError::from)?;
    Notice::ok(format!("The key of {} was removed.", service.label())).keep(state, cookies);
    visitor.leave(tx, PATH).await
}
