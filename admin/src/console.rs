//! The console: the pages for people who are signed in. docs/CONSOLE.md shows how to make one.
//!
//! [`pages`] lists them. Each declares its permission as an operation of the API does, and passes
//! the same layers.

mod account;
mod assets;
mod audit;
mod brand;
mod engine;
mod error_page;
mod form_key;
mod frame;
mod jobs;
mod keys;
mod landing;
mod me;
mod notice;
mod operators;
mod pages;
mod parts;
mod search;
mod second_factor;
mod service_keys;
mod tenants;
mod theme;
mod ui_parts;
mod visitor;
mod words;
mod workspace;

use poem::{Route, get};

pub(crate) use self::{
    assets::{PATH as ASSETS_PATH, address as asset_address},
    error_page::for_people,
    form_key::take_key,
    landing::{after_sign_in, code_for, land, land_at_root},
    notice::Tone,
    pages::describe,
    second_factor::PATH as SECOND_FACTOR_PATH,
    theme::{current as current_theme, remembered as remembered_theme},
    words::number,
};
use crate::state::AppState;

/// Adds the pages, and the files that they load.
pub(crate) fn add_to(route: Route, state: &AppState) -> Route {
    let route = pages::add_to(route, pages::all(&state.public_url));
    route.at(format!("{}:hash/:name", assets::PATH), get(assets::serve))
}
