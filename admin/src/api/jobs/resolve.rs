//! Resolving a call whose outcome is unknown, by a person.

use jobs::{
    engine::ledger::Resolution,
    ids::{EffectId, JobId},
    operations::{self, Settlement},
};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use super::views::JobView;
use crate::{
    ApiError,
    api::Tag,
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// The outcome that a person found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Outcome", rename_all = "snake_case")]
enum ResolutionOutcome {
    Happened,
    DidNotHappen,
    Swap,
}

/// The outcome of a call.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct ResolutionBody {
    /// `happened`, `did_not_happen`, or `swap` for two confirmed calls that were mistaken for each
    /// other.
    outcome: ResolutionOutcome,
    /// The provider's id of the result. Required with `happened`, and only then.
    #[oai(validator(min_length = 1, max_length = 200))]
    remote_id: Option<String>,
    /// Required with `did_not_happen`, and only then: true to make the call now, false to never
    /// make it.
    send_again: Option<bool>,
    /// The id of the other effect. Required with `swap`, and only then.
    with_effect_id: Option<Uuid>,
}

impl ResolutionBody {
    fn checked(self) -> Result<Settlement, ApiError> {
        match (self.outcome, self.with_effect_id) {
            (ResolutionOutcome::Swap, Some(other)) if self.remote_id.is_none() && self.send_again.is_none() => {
                Ok(Settlement::Swap(EffectId(other)))
            }
            (ResolutionOutcome::Swap, _) => {
                let detail = "with_effect_id: it should be the other call, and nothing else is said with swap.";
                Err(ApiError::unprocessable(ErrorCode::BadSwap, detail))
            }
            (ResolutionOutcome::Happened | ResolutionOutcome::DidNotHappen, Some(_)) => {
                Err(ApiError::unprocessable(ErrorCode::BadSwap, "with_effect_id is only for swap: leave it out."))
            }
            (ResolutionOutcome::Happened | ResolutionOutcome::DidNotHappen, None) => {
                self.resolution().map(Settlement::Resolve)
            }
        }
    }

    fn resolution(self) -> Result<Resolution, ApiError> {
        let refuse = |code, detail: &str| Err(ApiError::unprocessable(code, detail));
        match (self.outcome, self.remote_id, self.send_again) {
            (ResolutionOutcome::Happened, Some(id), None) if !id.trim().is_empty() && !id.contains('\0') => {
                Ok(Resolution::Happened(id.trim().to_owned()))
            }
            (ResolutionOutcome::Happened | ResolutionOutcome::Swap, _, None) => refuse(
                ErrorCode::BadRemoteId,
                "remote_id: it should be what the provider calls the thing that happened.",
            ),
            (ResolutionOutcome::Happened | ResolutionOutcome::Swap, _, Some(_)) => {
                refuse(ErrorCode::BadSendAgain, "send_again is for did_not_happen: what happened is not done again.")
            }
            (ResolutionOutcome::DidNotHappen, Some(_), _) => {
                refuse(ErrorCode::BadRemoteId, "remote_id is for happened: what did not happen has none.")
            }
            (ResolutionOutcome::DidNotHappen, None, Some(true)) => Ok(Resolution::SendAgain),
            (ResolutionOutcome::DidNotHappen, None, Some(false)) => Ok(Resolution::GiveUp),
            (ResolutionOutcome::DidNotHappen, None, None) => {
                refuse(ErrorCode::BadSendAgain, "send_again should say whether to do it now (true) or never (false).")
            }
        }
    }
}

pub(crate) struct ResolveApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Jobs")]
impl ResolveApi {
    /// Resolve a call whose outcome nobody knows.
    ///
    /// Its state is `unknown`, or it was sent and not found within the provider's time. The job
    /// then runs and records the result: published, sent now, or failed. `swap` exchanges the
    /// results of two confirmed calls on one account.
    #[oai(path = "/jobs/:id/effects/:effect_id/resolve", method = "post", operation_id = "resolve_effect")]
    async fn resolve(
        &self,
        #[oai(scope = "Needs::JobsRetry")] caller: Caller,
        id: Path<Uuid>,
        effect_id: Path<Uuid>,
        body: Body<ResolutionBody>,
    ) -> Result<Answered<Json<JobView>>, ApiError> {
        let effect = (JobId(id.0), EffectId(effect_id.0));
        let settlement = body.0.checked()?;
        let mut tx = self.state.db.write(caller.scope()?, &caller).await?;
        let services = &self.state.services;
        let job = operations::settle_effect(&mut tx, services, caller.actor(), effect, &settlement).await?;
        tx.answer(Json(JobView::of(job, caller.audience()))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(
        outcome: ResolutionOutcome,
        remote_id: Option<&str>,
        send_again: Option<bool>,
    ) -> Result<Resolution, String> {
        let body =
            ResolutionBody { outcome, remote_id: remote_id.map(str::to_owned), send_again, with_effect_id: None };
        match body.checked().map_err(|error| format!("{error:?}"))? {
            Settlement::Resolve(resolution) => Ok(resolution),
            Settlement::Swap(_) => Err("swap".to_owned()),
        }
    }

    #[test]
    fn a_swap_names_the_other_call_and_nothing_else() {
        let other = Uuid::now_v7();
        let body = |outcome, with: Option<Uuid>, send_again| {
            ResolutionBody { outcome, remote_id: None, send_again, with_effect_id: with }.checked()
        };
        assert_eq!(body(ResolutionOutcome::Swap, Some(other), None).unwrap(), Settlement::Swap(EffectId(other)));
        for (outcome, with, send_again) in [
            (ResolutionOutcome::Swap, None, None),
            (ResolutionOutcome::Swap, Some(other), Some(true)),
            (ResolutionOutcome::DidNotHappen, Some(other), Some(true)),
        ] {
            let error = format!("{:?}", body(outcome, with, send_again).unwrap_err());
            assert!(error.contains("bad_swap"), "{error}");
        }
    }

    #[test]
    fn a_resolution_says_one_thing() {
        use ResolutionOutcome::{DidNotHappen, Happened};
        assert_eq!(checked(Happened, Some(" 1_2 "), None), Ok(Resolution::Happened("1_2".to_owned())));
        assert_eq!(checked(DidNotHappen, None, Some(true)), Ok(Resolution::SendAgain));
        assert_eq!(checked(DidNotHappen, None, Some(false)), Ok(Resolution::GiveUp));
        for (outcome, remote_id, send_again, field) in [
            (Happened, None, None, "bad_remote_id"),
            (Happened, Some(" "), None, "bad_remote_id"),
            (Happened, Some("1"), Some(true), "bad_send_again"),
            (DidNotHappen, Some("1"), Some(true), "bad_remote_id"),
            (DidNotHappen, None, None, "bad_send_again"),
        ] {
            let error = checked(outcome, remote_id, send_again).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }
}
