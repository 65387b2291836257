//! Recording the outcome of an effect together with the job's own rows.

use serde_json::json;

use super::{Receipt, Remote, rows};
use crate::{AttemptTx, Cause, Done, EffectState, JobError, settle::Verdict};

impl AttemptTx {
    /// Records that the effect happened, in the transaction that records what depends on it.
    /// Returns false if the result belongs to another effect: then do not commit this transaction.
    pub async fn confirm(&mut self, receipt: &Receipt, remote: &Remote) -> Result<bool, JobError> {
        let tenant_id = self.attempt().tenant_id;
        if !rows::claim_remote(self, tenant_id, receipt.effect_id, &remote.id).await? {
            return Ok(false);
        }
        sqlx::query!(
            "
            update effects
            set state = 'confirmed', remote_id = $3, facts = facts || $4
            where tenant_id = $1 and id = $2 and state in ('sent', 'confirmed')
            ",
            tenant_id.0,
            receipt.effect_id.0,
            remote.id,
            json!([{ "happened": remote.id, "read_back": receipt.was_read_back }])
        )
        .execute(&mut ***self)
        .await?;
        Ok(true)
    }

    /// Records that the outcome of the effect is unknown, and suspends the job until a person
    /// decides.
    pub async fn leave_unknown(mut self, receipt: &Receipt, cause: &Cause) -> Result<Done, JobError> {
        let tenant_id = self.attempt().tenant_id;
        let mut fact = json!({ "unknown": cause.facts() });
        if let Some(look) = &receipt.look {
            rows::count_look(&mut self, tenant_id, look).await?;
            fact["candidates"] = look.listed();
        }
        rows::end_doubt(&mut self, tenant_id, receipt.effect_id, EffectState::Unknown, &fact).await?;
        self.suspend(&Verdict::unknown_effect(), &cause.facts()).await
    }
}
