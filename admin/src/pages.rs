//! The few pages that browsers see: signing up and in, and what links in mails lead to.

mod connect;
mod deletion;
mod external_login;
mod form;
mod links;
mod second_step;
mod sign_in;
mod sign_up;

use poem::{Route, get, post};

pub(crate) use self::{deletion::deletion_url, form::Sent};
use crate::console;

/// Adds the pages.
pub(crate) fn add_to(route: Route) -> Route {
    route
        .at("/home", get(console::land))
        .at("/connect/:ticket", get(connect::show).post(connect::submit))
        .at("/data-deletion/:code", get(deletion::show))
        .at("/sign-in", get(sign_in::show).post(sign_in::submit))
        .at("/sign-in/code", get(second_step::show).post(second_step::submit))
        .at("/sign-in/:provider", get(external_login::begin))
        .at("/sign-in/:provider/callback", get(external_login::callback))
        .at("/sign-out", post(sign_in::sign_out))
        .at("/sign-up", get(sign_up::show).post(sign_up::submit))
        .at("/forgot-password", get(sign_up::show_forgot).post(sign_up::submit_forgot))
        .at("/verify-email/:code", get(links::show_verify).post(links::submit_verify))
        .at("/confirm-address/:code", get(links::show_address).post(links::submit_address))
        .at("/reset-password/:code", get(links::show_reset).post(links::submit_reset))
        .at("/invitations/:code", get(links::show_invitation).post(links::submit_invitation))
}
