//! The control API: a test prepares its world with it, and observes the result.

mod observe;
mod plan;
mod posts;
mod published;
mod scene;

use poem::http::StatusCode;
use poem::{FromRequest, Request, RequestBody, Response, Result, Route, get, post};
use serde_json::json;

use crate::world::{SharedWorld, Worlds};

/// Adds the routes under `/{world}/control`.
pub(crate) fn add_routes(routes: Route) -> Route {
    routes
        .at("/:world/control/health", get(observe::health))
        .at("/:world/control/state", get(observe::state))
        .at("/:world/control/effects", get(observe::effects))
        .at("/:world/control/published", get(published::list_published))
        .at("/:world/control/effects/:seq/picture", get(observe::effect_picture))
        .at("/:world/control/photos", get(observe::list_photos))
        .at("/:world/control/photos/:id/picture", get(observe::photo_bytes))
        .at("/:world/control/posts", get(posts::list_posts).post(posts::plant_post))
        .at("/:world/control/posts/delete", post(posts::delete_post))
        .at("/:world/control/posts/hide", post(posts::hide_post))
        .at("/:world/control/calls", get(observe::calls))
        .at("/:world/control/tokens", get(observe::tokens))
        .at("/:world/control/secrets", get(observe::secrets))
        .at("/:world/control/grants", get(observe::grants).post(scene::make_grants).delete(scene::end_grants))
        .at("/:world/control/people", post(scene::replace_people))
        .at("/:world/control/login", post(scene::log_in))
        .at("/:world/control/permissions", post(scene::change_permission))
        .at("/:world/control/visitor", post(scene::seat_visitor))
        .at("/:world/control/switches", get(scene::switches).post(scene::change_switches))
        .at("/:world/control/publer", get(scene::publer).post(scene::change_publer))
        .at("/:world/control/clock", get(scene::read_clock).post(scene::set_clock))
        .at("/:world/control/reset", post(scene::reset))
        .at("/:world/control/tokens/invalidate", post(plan::invalidate_tokens))
        .at("/:world/control/faults", get(plan::faults).post(plan::plan_fault).delete(plan::clear_faults))
}

/// The world that a path names.
struct InWorld(SharedWorld);

impl<'a> FromRequest<'a> for InWorld {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let worlds = request.data::<Worlds>().expect("the server provides its worlds");
        let name = request.raw_path_param("world").unwrap_or_default();
        worlds.enter(name).map(Self).ok_or_else(|| {
            poem::Error::from_response(answer(StatusCode::NOT_FOUND, &json!({"error": "no such world"})))
        })
    }
}

/// Returns a response of the control API.
fn answer(status: StatusCode, json: &serde_json::Value) -> Response {
    Response::builder().status(status).content_type("application/json").body(json.to_string())
}

/// Returns the error for an invalid body.
fn refused(reason: impl std::fmt::Display) -> poem::Error {
    poem::Error::from_response(answer(StatusCode::BAD_REQUEST, &json!({"error": reason.to_string()})))
}
