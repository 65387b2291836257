//! What an attempt learned about an effect, recorded in the transaction that settles the attempt.

use serde_json::{Value, json};

use super::{EffectId, Remote, rows};
use crate::{Attempt, EffectState, Tx};

/// What came of an effect, to be recorded when an attempt that did not complete its job is settled.
#[derive(Debug)]
pub(crate) struct CallOutcome {
    pub(super) effect_id: EffectId,
    pub(super) what: What,
}

/// Each with the fact to keep.
#[derive(Debug)]
pub(super) enum What {
    /// It did not happen and may be tried again.
    NotHappened(Value),
    /// It did not happen and never will.
    RefusedForGood(Value),
    /// It may have happened.
    Unclear(Value),
    /// It happened; the provider calls it this.
    Answered(Value, String),
    /// It was looked for.
    Looked(Look),
    /// Nobody can tell, and nobody is asked.
    GivenUp(Value, Option<Look>),
}

/// A look for what became of a call.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) effect_id: EffectId,
    /// Everything that may be it was read.
    pub(super) is_complete: bool,
    /// What may be it.
    pub(super) candidates: Vec<Remote>,
}

impl Look {
    /// The candidates as they are kept and shown.
    pub(super) fn listed(&self) -> Value {
        let list = self.candidates.iter().map(|remote| json!({ "id": remote.id, "permalink": remote.permalink }));
        list.collect()
    }
}

/// Records what came of a call, in the transaction that settles the attempt.
pub(crate) async fn record_outcome(tx: &mut Tx, attempt: Attempt, outcome: &CallOutcome) -> Result<(), sqlx::Error> {
    let id = outcome.effect_id;
    match &outcome.what {
        What::NotHappened(fact) => rows::end_call(tx, attempt, id, EffectState::Intended, fact, None).await,
        What::RefusedForGood(fact) => rows::end_call(tx, attempt, id, EffectState::Failed, fact, None).await,
        What::Unclear(fact) => rows::end_call(tx, attempt, id, EffectState::Sent, fact, None).await,
        What::Answered(fact, remote_id) => {
            rows::end_call(tx, attempt, id, EffectState::Sent, fact, Some(remote_id)).await?;
            // No equal call that is looked for may take it meanwhile; what another has already shows when this one is recorded.
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
