//! The endpoints that prepare a world: people, the login, switches, the time.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use poem::web::Json;
use poem::{Result, handler};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::control::{InWorld, refused};
use crate::identity::{GithubAccount, GoogleAccount};
use crate::people::Person;
use crate::world::World;

/// The years that a clock can be set to.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// The people that replace those of a world. The first one is at the browser unless `current` names
/// another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct People {
    people: Vec<Person>,
    current: Option<String>,
}

/// The person in the next login dialogs, and the only permissions that this person grants there.
/// Without permissions, the switches decide.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    person_id: String,
    granted_scopes: Option<Vec<String>>,
}

/// A permission that a person grants or revokes in the settings of Facebook.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionChange {
    person_id: String,
    permission: String,
    granted: bool,
}

/// The Google and GitHub accounts of the next person to sign in. An omitted account stays as it
/// was.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Visitor {
    google: Option<GoogleAccount>,
    github: Option<GithubAccount>,
}

/// New grants at the drive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGrants {
    count: usize,
    /// The seconds after which their access tokens end.
    life_seconds: i32,
}

/// A change of the clock.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum ClockChange {
    Advance {
        advance_seconds: i32,
    },
    Set {
        set: DateTime<Utc>,
    },
    /// A skew of the shown time: the clock stays right, but `Date` and the times of new posts are
    /// ahead, or behind if it is negative.
    Skew {
        skew_seconds: i32,
    },
}

/// Replaces the people. Tokens of removed people fail.
#[handler]
pub(super) fn replace_people(InWorld(world): InWorld, Json(body): Json<People>) -> Result<Json<Value>> {
    let current = body.current.or_else(|| body.people.first().map(|person| person.id.clone())).unwrap_or_default();
    if !body.people.is_empty() && !body.people.iter().any(|person| person.id == current) {
        return Err(refused("current is none of the people"));
    }
    let mut world = world.lock();
    world.people = body.people;
    world.current = current;
    Ok(Json(json!({"people": world.people, "current": world.current})))
}

/// Puts another person at the browser.
#[handler]
pub(super) fn log_in(InWorld(world): InWorld, Json(body): Json<Login>) -> Result<Json<Value>> {
    let mut world = world.lock();
    if world.person(&body.person_id).is_none() {
        return Err(refused("person_id is none of the people"));
    }
    world.current = body.person_id;
    world.ticked = body.granted_scopes;
    Ok(Json(json!({"current": world.current, "granted_scopes": world.ticked})))
}

/// Grants or revokes a permission of a person who logged in before. The tokens stay.
#[handler]
pub(super) fn change_permission(InWorld(world): InWorld, Json(body): Json<PermissionChange>) -> Result<Json<Value>> {
    let mut world = world.lock();
    let grant = world.grants.get_mut(&body.person_id).ok_or_else(|| refused("person_id never logged in"))?;
    grant.permissions.insert(body.permission, body.granted);
    Ok(Json(json!({"permissions": grant.permissions})))
}

/// Puts a person with other Google or GitHub accounts at the browser.
#[handler]
pub(super) fn seat_visitor(InWorld(world): InWorld, Json(body): Json<Visitor>) -> Json<Value> {
    let identities = &mut world.lock().identities;
    if let Some(google) = body.google {
        identities.google = google;
    }
    if let Some(github) = body.github {
        identities.github = github;
    }
    Json(json!({"google": identities.google, "github": identities.github}))
}

/// Makes grants at the drive, and returns their tokens.
#[handler]
pub(super) fn make_grants(InWorld(world): InWorld, Json(body): Json<NewGrants>) -> Json<Value> {
    let mut world = world.lock();
    let now = world.now();
    Json(json!({"items": world.drive.make(now, body.count, body.life_seconds.into())}))
}

/// Ends all grants at the drive.
#[handler]
pub(super) fn end_grants(InWorld(world): InWorld) -> Json<Value> {
    world.lock().drive.end_all();
    Json(json!({"status": "ok"}))
}

/// Returns all switches.
#[handler]
pub(super) fn switches(InWorld(world): InWorld) -> Json<Value> {
    Json(json!(world.lock().switches))
}

/// Changes the switches that the body names.
#[handler]
pub(super) fn change_switches(InWorld(world): InWorld, Json(changes): Json<Map<String, Value>>) -> Result<Json<Value>> {
    let mut world = world.lock();
    world.switches = merged(&world.switches, changes)?;
    Ok(Json(json!(world.switches)))
}

/// Returns settings with some members replaced.
fn merged<T: Serialize + DeserializeOwned>(settings: &T, changes: Map<String, Value>) -> Result<T> {
    let mut merged = json!(settings);
    if let Some(members) = merged.as_object_mut() {
        members.extend(changes);
    }
    serde_json::from_value(merged).map_err(refused)
}

/// Returns Publer's keys, workspaces and switches.
#[handler]
pub(super) fn publer(InWorld(world): InWorld) -> Json<Value> {
    Json(json!(world.lock().publer.settings))
}

/// Changes those that the body names.
#[handler]
pub(super) fn change_publer(InWorld(world): InWorld, Json(changes): Json<Map<String, Value>>) -> Result<Json<Value>> {
    let mut world = world.lock();
    world.publer.settings = merged(&world.publer.settings, changes)?;
    Ok(Json(json!(world.publer.settings)))
}

/// Returns the time.
#[handler]
pub(super) fn read_clock(InWorld(world): InWorld) -> Json<Value> {
    Json(clock_view(&world.lock().clock))
}

fn clock_view(clock: &Clock) -> Value {
    json!({"now": clock.now(), "shown": clock.shown(), "skew_seconds": clock.skew().num_seconds()})
}

/// Moves or sets the clock, or the time it shows.
#[handler]
pub(super) fn set_clock(InWorld(world): InWorld, Json(change): Json<ClockChange>) -> Result<Json<Value>> {
    let mut world = world.lock();
    match change {
        ClockChange::Advance { advance_seconds } => world.clock.advance(TimeDelta::seconds(advance_seconds.into())),
        ClockChange::Set { set } if YEARS.contains(&set.year()) => world.clock.set(set),
        ClockChange::Set { .. } => return Err(refused("set is too far away")),
        ClockChange::Skew { skew_seconds } => world.clock.set_skew(TimeDelta::seconds(skew_seconds.into())),
    }
    Ok(Json(clock_view(&world.clock)))
}

/// Resets the world.
#[handler]
pub(super) fn reset(InWorld(world): InWorld) -> Json<Value> {
    *world.lock() = World::default();
    Json(json!({"status": "ok"}))
}
