//! A person says what became of a call.

use jobs::{
    engine::ledger::Resolution,
    ids::EffectId,
    operations::{self, Settlement},
};
use poem::{
    Response, Result, handler,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use super::job::{job_id, tell};
use crate::{ApiError, console::visitor::Visitor, error::ErrorCode, pages::Sent, state::AppState};

/// The longest id of a provider.
const MAX_REMOTE_ID: usize = 200;

/// The decision that a form sends.
#[derive(Deserialize)]
struct Settled {
    outcome: String,
    #[serde(default)]
    remote_id: String,
}

impl Settled {
    fn resolution(&self) -> Result<Resolution, ApiError> {
        let remote_id = self.remote_id.trim();
        let refuse = |detail| Err(ApiError::unprocessable(ErrorCode::BadOutcome, detail));
        match self.outcome.as_str() {
            "happened" if remote_id.is_empty() => {
                refuse("Enter the provider's id of what was published: it is in the address of the post there.")
            }
            "happened" if remote_id.chars().count() > MAX_REMOTE_ID || remote_id.contains('\0') => {
                refuse("The provider's id has 200 characters at most.")
            }
            "happened" => Ok(Resolution::Happened(remote_id.to_owned())),
            "send_again" => Ok(Resolution::SendAgain),
            "give_up" => Ok(Resolution::GiveUp),
            _ => refuse("Say whether it happened."),
        }
    }
}

/// Settles a call.
#[handler]
pub(in super::super) async fn submit(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path((id, effect_id)): Path<(String, String)>,
    Sent(form): Sent<Settled>,
) -> Result<Response> {
    let id = job_id(&id)?;
    let effect_id = effect_id.parse().map(EffectId).map_err(|_| ApiError::not_found("effect"))?;
    let settlement = Settlement::Resolve(form.resolution()?);
    let (services, actor) = (&state.services, visitor.caller.actor());
    let mut tx = state.db.write(visitor.scope()?, &visitor.caller).await.map_err(ApiError::from)?;
    let settled = operations::settle_effect(&mut tx, services, actor, (id, effect_id), &settlement).await;
    let done = match settlement {
        Settlement::Resolve(Resolution::Happened(_)) => "It is recorded as published.",
        Settlement::Resolve(Resolution::SendAgain) => "It is sent again now.",
        Settlement::Resolve(Resolution::GiveUp) | Settlement::Swap(_) => "It is recorded as not published.",
    };
    tell(settled, done, state, cookies)?;
    visitor.leave(tx, &format!("/jobs/{id}")).await
}
