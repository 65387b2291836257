//! Outcomes of effects, recorded in the transaction that settles the attempt.

use serde_json::{Value, json};

use super::{EffectId, Remote, rows};
use crate::{Attempt, EffectState, Tx};

/// The outcome of an effect, recorded when an attempt that did not complete its job is settled.
#[derive(Debug)]
pub(crate) struct CallOutcome {
    pub(super) effect_id: EffectId,
    pub(super) what: What,
}

/// The sort of outcome, each with the fact to store.
#[derive(Debug)]
pub(super) enum What {
    /// The call did not happen and may be tried again.
    NotHappened(Value),
    /// The call did not happen and never will.
    RefusedForGood(Value),
    /// The call may have happened.
    Unclear(Value),
    /// The call happened; the provider returned this id.
    Answered(Value, String),
    /// The result was looked for.
    Looked(Look),
    /// The outcome stays unknown, and the job gave up.
    GivenUp(Value, Option<Look>),
}

/// A look for the result of a call.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) effect_id: EffectId,
    /// True if all possible candidates were read.
    pub(super) is_complete: bool,
    /// Things that may be the result.
    pub(super) candidates: Vec<Remote>,
}

impl Look {
    /// Returns the candidates as they are stored and shown.
    pub(super) fn listed(&self) -> Value {
        let list = self.candidates.iter().map(|remote| json!({ "id": remote.id, "permalink": remote.permalink }));
        list.collect()
    }
}

/// Records the outcome of a call, in the transaction that settles the attempt.
pub(crate) async fn record_outcome(tx: &mut Tx, attempt: Attempt, outcome: &CallOutcome) -> Result<(), sqlx::Error> {
    let id = outcome.effect_id;
    match &outcome.what {
        What::NotHappened(fact) => rows::end_call(tx, attempt, id, EffectState::Intended, fact, None).await,
        What::RefusedForGood(fact) => rows::end_call(tx, attempt, id, EffectState::Failed, fact, None).await,
        What::Unclear(fact) => rows::end_call(tx, attempt, id, EffectState::Sent, fact, None).await,
        What::Answered(fact, remote_id) => {
            rows::end_call(tx, attempt, id, EffectState::Sent, fact, Some(remote_id)).await?;
            // No equal call may take this result meanwhile. If another one has it already, that
            // shows when this call is recorded.
            rows::claim_remote(tx, attempt.tenant_id, id, remote_id).await?;
            Ok(())
        }
        What::Looked(look) => rows::count_look(tx, attempt.tenant_id, look).await,
        What::GivenUp(fact, look) => {
            if let Some(look) = look {
                rows::count_look(tx, attempt.tenant_id, look).await?;
            }
            rows::end_doubt(tx, attempt.tenant_id, id, EffectState::Failed, fact).await
        }
    }
}
