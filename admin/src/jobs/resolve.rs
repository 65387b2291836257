//! A person settles a call of which nobody can tell whether it happened.

use ::jobs::{
    audit::{self, Entry},
    engine::ledger::{self, Resolution, Resolved},
    ids::{EffectId, JobId},
};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};
use serde_json::json;
use uuid::Uuid;

use super::views::JobView;
use crate::{ApiError, Tag, auth::Caller, body::Body, state::AppState};

/// What a person found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Outcome {
    Happened,
    DidNotHappen,
}

/// What became of a call.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct ResolutionBody {
    /// `happened` or `did_not_happen`.
    outcome: Outcome,
    /// What the provider calls it; with `happened` only, and then needed.
    #[oai(validator(min_length = 1, max_length = 200))]
    remote_id: Option<String>,
    /// Whether to do it now; with `did_not_happen` only, and then needed.
    send_again: Option<bool>,
}

impl ResolutionBody {
    fn checked(self) -> Result<Resolution, ApiError> {
        let refuse = |code, detail: &str| Err(ApiError::unprocessable(code, detail));
        match (self.outcome, self.remote_id, self.send_again) {
            (Outcome::Happened, Some(id), None) if !id.trim().is_empty() && !id.contains('\0') => {
                Ok(Resolution::Happened(id.trim().to_owned()))
            }
            (Outcome::Happened, _, None) => {
                refuse("bad_remote_id", "remote_id should be what the provider calls the thing that happened.")
            }
            (Outcome::Happened, _, Some(_)) => {
                refuse("bad_send_again", "send_again is for did_not_happen: what happened is not done again.")
            }
            (Outcome::DidNotHappen, Some(_), _) => {
                refuse("bad_remote_id", "remote_id is for happened: what did not happen has none.")
            }
            (Outcome::DidNotHappen, None, Some(true)) => Ok(Resolution::SendAgain),
            (Outcome::DidNotHappen, None, Some(false)) => Ok(Resolution::GiveUp),
            (Outcome::DidNotHappen, None, None) => {
                refuse("bad_send_again", "send_again should say whether to do it now (true) or never (false).")
            }
        }
    }
}

pub(crate) struct ResolveApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Jobs")]
impl ResolveApi {
    /// Say what became of a call: one whose outcome is `unknown`, or one that was sent and could not be found within the
    /// provider's time. The job runs then and records what follows: published, sent now, or failed.
    #[oai(path = "/jobs/:id/effects/:effect_id/resolve", method = "post", operation_id = "resolve_effect")]
    async fn resolve(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        effect_id: Path<Uuid>,
        body: Body<ResolutionBody>,
    ) -> Result<Json<JobView>, ApiError> {
        let (id, effect_id) = (JobId(id.0), EffectId(effect_id.0));
        let resolution = body.0.checked()?;
        let mut tx = self.state.db.begin(caller.scope()?).await?;
        ledger::get_job(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
        let resolved = ledger::resolve(&mut tx, id, effect_id, &resolution, &caller.actor().name).await?;
        audit::append(
            &mut tx,
            &self.state.services.keyring,
            caller.actor(),
            &[entry(id, effect_id, &resolution, &resolved)],
        )
        .await?;
        let job = ledger::get_job(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
        tx.commit().await?;
        Ok(Json(JobView::of(job, caller.audience())))
    }
}

fn entry(job_id: JobId, effect_id: EffectId, resolution: &Resolution, resolved: &Resolved) -> Entry {
    let remote_id = match resolution {
        Resolution::Happened(id) => Some(id),
        Resolution::SendAgain | Resolution::GiveUp => None,
    };
    Entry {
        tenant_id: resolved.tenant_id,
        action: "effect.resolve".to_owned(),
        object_type: "effect",
        object_id: effect_id.to_string(),
        details: json!({
            "job_id": job_id, "before": resolved.before, "after": resolved.after, "remote_id": remote_id,
            "job_runs": resolved.runs,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(outcome: Outcome, remote_id: Option<&str>, send_again: Option<bool>) -> Result<Resolution, String> {
        let body = ResolutionBody { outcome, remote_id: remote_id.map(str::to_owned), send_again };
        body.checked().map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_resolution_says_one_thing() {
        use Outcome::{DidNotHappen, Happened};
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
