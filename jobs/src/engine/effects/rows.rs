//! The SQL of the effects ledger.

use chrono::{DateTime, Utc};

use super::{CallOutcome, EffectSpec, Remote};
use crate::{
    engine::{Attempt, AttemptTx, Tx},
    ids::EffectId,
};

pub(super) struct Row {
    pub(super) id: EffectId,
    pub(super) state: String,
    pub(super) sent_at: Option<DateTime<Utc>>,
    pub(super) seconds_left: f64,
    pub(super) lag_is_over: bool,
    pub(super) remote_id: Option<String>,
}

pub(super) async fn insert(tx: &mut AttemptTx, spec: &EffectSpec) -> Result<(), sqlx::Error> {
    let attempt = tx.attempt();
    sqlx::query!(
        "
        insert into effects (id, tenant_id, job_id, account_id, key, operation, state, attempt, request_digest)
        values ($1, $2, $3, $4, $5, $6, 'intended', $7, $8)
        on conflict (tenant_id, key) do nothing
        ",
        EffectId::new().0,
        attempt.tenant_id.0,
        attempt.job_id.0,
        spec.account_id.0,
        spec.key,
        spec.operation,
        attempt.number,
        spec.request_digest
    )
    .execute(&mut ***tx)
    .await?;
    Ok(())
}

pub(super) async fn get(tx: &mut AttemptTx, spec: &EffectSpec) -> Result<Row, sqlx::Error> {
    let tenant_id = tx.attempt().tenant_id;
    sqlx::query_as!(
        Row,
        r#"
        select id as "id: EffectId", state, sent_at, remote_id,
          coalesce(extract(epoch from send_until - clock_timestamp()), 0)::float8 as "seconds_left!",
          coalesce(engine_now() > send_until + make_interval(secs => $3), false) as "lag_is_over!"
        from effects
        where tenant_id = $1 and key = $2
        for update
        "#,
        tenant_id.0,
        spec.key,
        spec.lag.as_secs_f64()
    )
    .fetch_one(&mut ***tx)
    .await
}

/// Those of the things seen that other effects of the account are known to be.
pub(super) async fn list_taken(
    tx: &mut AttemptTx,
    spec: &EffectSpec,
    effect_id: EffectId,
    seen: &[Remote],
) -> Result<Vec<String>, sqlx::Error> {
    let ids: Vec<String> = seen.iter().map(|remote| remote.id.clone()).collect();
    let tenant_id = tx.attempt().tenant_id;
    sqlx::query_scalar!(
        r#"
        select remote_id as "remote_id!"
        from effects
        where tenant_id = $1 and account_id = $2 and remote_id = any($3) and id <> $4
        "#,
        tenant_id.0,
        spec.account_id.0,
        &ids,
        effect_id.0
    )
    .fetch_all(&mut ***tx)
    .await
}

/// Whether what was seen may be another effect's that looks the same and is not recorded yet: its call is under way, or it
/// is read back too and was there first.
pub(super) async fn has_rival(tx: &mut AttemptTx, spec: &EffectSpec, effect_id: EffectId) -> Result<bool, sqlx::Error> {
    let tenant_id = tx.attempt().tenant_id;
    sqlx::query_scalar!(
        r#"
        select exists (
          select from effects
          where tenant_id = $1 and account_id = $2 and id <> $3 and state = 'sent' and remote_id is null
            and request_digest = $4
            and (send_until > clock_timestamp() or id < $3)
        ) as "rival!"
        "#,
        tenant_id.0,
        spec.account_id.0,
        effect_id.0,
        spec.request_digest
    )
    .fetch_one(&mut ***tx)
    .await
}

/// Records what came of a call, in the transaction that settles the attempt.
pub(in crate::engine) async fn record_outcome(
    tx: &mut Tx,
    attempt: Attempt,
    outcome: &CallOutcome,
) -> Result<(), sqlx::Error> {
    let state = match (outcome.unclear, outcome.for_good) {
        (true, _) => "sent",
        (false, true) => "failed",
        (false, false) => "intended",
    };
    // The call of an unclear outcome is over in this process: nothing can leave any more.
    sqlx::query!(
        "
        update effects
        set state = $4,
          remote_id = $6,
          send_until = least(send_until, clock_timestamp()),
          facts = facts || jsonb_build_array($5::jsonb)
        where tenant_id = $1 and id = $2 and attempt = $3 and state = 'sent'
        ",
        attempt.tenant_id.0,
        outcome.effect_id.0,
        attempt.number,
        state,
        outcome.fact,
        outcome.known
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
