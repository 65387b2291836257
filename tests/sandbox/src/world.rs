//! A world: the state of one test, shared with no other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::calls::Calls;
use crate::clock::Clock;
use crate::drive::Grants;
use crate::faults::{Fault, FaultPlan};
use crate::identity::Identities;
use crate::ledger::Ledger;
use crate::operation::Operation;
use crate::people::{Grant, Page, Person};
use crate::provider::Incoming;
use crate::publer::Publer;
use crate::switches::Switches;
use crate::tokens::Tokens;

const LONGEST_NAME: usize = 64;

/// The state of one world.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) switches: Switches,
    pub(crate) people: Vec<Person>,
    /// The id of the person at the browser.
    pub(crate) current: String,
    /// The only permissions that this person grants; `None` leaves it to the switches.
    pub(crate) ticked: Option<Vec<String>>,
    /// The permissions that each person granted, by the person's id.
    pub(crate) grants: BTreeMap<String, Grant>,
    pub(crate) tokens: Tokens,
    /// Accounts at Google and GitHub.
    pub(crate) identities: Identities,
    /// The grants at the drive.
    pub(crate) drive: Grants,
    /// The keys, workspaces and posts at Publer.
    pub(crate) publer: Publer,
    pub(crate) ledger: Ledger,
    pub(crate) faults: FaultPlan,
    pub(crate) calls: Calls,
    pub(crate) clock: Clock,
}

impl Default for World {
    fn default() -> Self {
        let person = Person::first();
        Self {
            switches: Switches::default(),
            current: person.id.clone(),
            ticked: None,
            people: vec![person],
            grants: BTreeMap::new(),
            tokens: Tokens::default(),
            identities: Identities::default(),
            drive: Grants::default(),
            publer: Publer::default(),
            ledger: Ledger::default(),
            faults: FaultPlan::default(),
            calls: Calls::default(),
            clock: Clock::default(),
        }
    }
}

impl World {
    /// Returns the current time of this world.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns the person with this id.
    pub(crate) fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// Returns a Page as the person `user_id` sees it.
    pub(crate) fn page(&self, user_id: &str, page_id: &str) -> Option<&Page> {
        self.person(user_id)?.page(page_id)
    }

    /// Returns true if anyone in this world has a Page with this id.
    pub(crate) fn has_page(&self, page_id: &str) -> bool {
        self.people.iter().any(|person| person.page(page_id).is_some())
    }

    /// Returns true if a person granted a permission.
    pub(crate) fn grants(&self, user_id: &str, permission: &str) -> bool {
        self.grants.get(user_id).is_some_and(|grant| grant.allows(permission))
    }

    /// Counts a call, and returns its number with the fault that applies to it.
    pub(crate) fn begin_call(&mut self, operation: Operation, incoming: &Incoming) -> (u64, Option<Fault>) {
        let seq = self.calls.begin(self.clock.now(), operation, &incoming.method, &incoming.full_path);
        (seq, self.faults.take(operation, |fault| incoming.is_meant_by(fault)))
    }
}

/// A world that requests share. Its lock is never held across an `await`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    /// Waits for the other requests, and locks the world.
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All worlds by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Worlds(Arc<Mutex<HashMap<String, SharedWorld>>>);

impl Worlds {
    /// Returns the world with this name, and creates it if needed. Returns `None` if the name is
    /// invalid.
    pub(crate) fn enter(&self, name: &str) -> Option<SharedWorld> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(allowed) {
            return None;
        }
        let mut worlds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(worlds.entry(name.to_owned()).or_default().clone())
    }
}
