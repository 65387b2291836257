//! The dialog as a page: who is logged in, and what the person allows and shares.

use askama::Template as _;
use poem::Response;

use super::{Asked, Decision};
use crate::params::Params;
use crate::people::Shared;
use crate::world::World;

/// The prefixes of the form's fields: one for each permission, Page and Instagram account.
const SCOPE: &str = "scope.";
const PAGE: &str = "page.";
const INSTAGRAM: &str = "instagram.";

#[derive(askama::Template)]
#[template(path = "dialog.html")]
struct DialogPage<'a> {
    people: Vec<Someone<'a>>,
    scopes: &'a [&'a str],
}

/// A person who can log in.
struct Someone<'a> {
    id: &'a str,
    name: &'a str,
    is_current: bool,
    pages: Vec<Listed<'a>>,
}

/// A Page, and its Instagram account: id and name.
struct Listed<'a> {
    id: &'a str,
    name: &'a str,
    instagram: Option<(&'a str, &'a str)>,
}

/// Returns the page.
pub(super) fn show(world: &World, asked: &Asked<'_>) -> Response {
    let people = world.people.iter().map(|person| Someone {
        id: &person.id,
        name: &person.name,
        is_current: person.id == world.current,
        pages: (person.pages.iter())
            .map(|page| Listed {
                id: &page.id,
                name: &page.name,
                instagram: page.instagram.as_ref().map(|it| (it.id.as_str(), it.username.as_str())),
            })
            .collect(),
    });
    let page = DialogPage { people: people.collect(), scopes: &asked.scopes };
    let html = page.render().expect("writing to a string does not fail");
    Response::builder().content_type("text/html; charset=utf-8").header("cache-control", "no-store").body(html)
}

/// Returns the decision that the page's form was sent with.
pub(super) fn decision(world: &World, form: &Params) -> Decision {
    let ticked = |prefix: &'static str| {
        form.with_prefix(prefix).map(|(name, _)| name.trim_start_matches(prefix).to_owned()).collect::<Vec<_>>()
    };
    Decision {
        person_id: form.get("person").unwrap_or(&world.current).to_owned(),
        is_denied: form.get("decision") != Some("allow"),
        ticked: Some(ticked(SCOPE)),
        shared: Some(Shared { pages: ticked(PAGE), instagram: ticked(INSTAGRAM) }),
    }
}
