//! Media: pictures and videos, uploaded or imported.

use poem::http::StatusCode;
use serde_json::{Value, json};

use super::jobs::{self, Payload};
use super::{Caller, Refusal, Reply, new_id};
use crate::world::World;

/// A medium of a workspace.
#[derive(Debug, Clone)]
pub(super) struct Medium {
    pub(super) id: String,
    pub(super) workspace_id: String,
    name: String,
}

impl Medium {
    fn shown(&self) -> Value {
        let path = format!("https://cdn.publer.example/{}.jpg", self.id);
        json!({
            "id": self.id, "path": path, "thumbnail": path, "validity": {}, "width": 640, "height": 480,
            "source": "upload", "type": "photo", "name": self.name, "caption": null,
        })
    }
}

fn add(world: &mut World, caller: &Caller<'_>, name: &str) -> Result<Value, Refusal> {
    let workspace_id = caller.workspace()?.id.clone();
    let medium = Medium { id: new_id(), workspace_id, name: name.to_owned() };
    let shown = medium.shown();
    world.publer.media.push(medium);
    Ok(shown)
}

/// Lists media. Both filters are required.
pub(super) fn list(world: &mut World, caller: &Caller<'_>) -> Reply {
    let has = |name: &str| caller.params.query().iter().any(|(found, _)| found == name);
    if !has("types[]") || !has("used[]") {
        return Err(Refusal::invalid("types and used are required"));
    }
    let workspace_id = &caller.workspace()?.id;
    let own = world.publer.media.iter().filter(|medium| medium.workspace_id == *workspace_id);
    let media: Vec<Value> = own.map(Medium::shown).collect();
    Ok((StatusCode::OK, json!({"total": media.len(), "media": media})))
}

/// Takes an uploaded file.
pub(super) fn upload(world: &mut World, caller: &Caller<'_>) -> Reply {
    if caller.params.file("file").is_none_or(bytes::Bytes::is_empty) {
        return Err(Refusal::invalid("file is required"));
    }
    Ok((StatusCode::OK, add(world, caller, "upload")?))
}

/// Imports media from addresses, in one job at a time.
pub(super) fn import(world: &mut World, caller: &Caller<'_>) -> Reply {
    let body: Value = serde_json::from_slice(&caller.incoming.body).unwrap_or_default();
    let wanted = body["media"].as_array().filter(|media| !media.is_empty());
    let wanted = wanted.ok_or_else(|| Refusal::invalid("media is required"))?;
    if world.publer.jobs.iter().any(|job| job.is_import && job.is_working(caller.now)) {
        return Err(Refusal::forbidden("Another import is in progress"));
    }
    let mut imported = Vec::new();
    for medium in wanted {
        let name = medium["name"].as_str().unwrap_or("import");
        let is_address = medium["url"].as_str().is_some_and(|url| url.starts_with("https://"));
        imported.push(if is_address {
            add(world, caller, name)?
        } else {
            json!({"id": null, "name": name, "error": "The URL cannot be downloaded"})
        });
    }
    jobs::begin(world, caller, true, Payload::Media(imported))
}
