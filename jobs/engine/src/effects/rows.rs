//! The SQL of the effects ledger.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Candidate, EffectSpec, Look, Sent};
use crate::{
    Attempt, AttemptTx, EffectState, Tx,
    ids::{EffectId, TenantId},
};

/// The time before a call within which an earlier call's result may be mistaken for its own. It
/// exceeds the duration of a call and the skew of clocks.
const ABOUT_THAT_TIME: TimeDelta = TimeDelta::hours(1);

pub(super) struct Row {
    pub(super) id: EffectId,
    pub(super) state: EffectState,
    pub(super) seconds_left: f64,
    /// Seconds during which the result is still looked for.
    pub(super) patience_left: f64,
    /// True if no look could be completed for a day.
    pub(super) is_failing_for_long: bool,
    pub(super) looks: i32,
    pub(super) remote_id: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    send_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    read_at: Instant,
}

impl Row {
    /// Returns the time at which its call left.
    pub(super) fn sent(&self) -> Sent {
        let (now, read_at) = (self.now, self.read_at);
        Sent { at: self.sent_at.unwrap_or(now), until: self.send_until.unwrap_or(now), now, read_at }
    }
}

pub(super) async fn insert(tx: &mut AttemptTx, spec: &EffectSpec) -> Result<(), sqlx::Error> {
    let attempt = tx.attempt();
    sqlx::query!(
        "
        insert into effects (id, tenant_id, job_id, account_id, network, remote_account, key, operation, state, attempt,
          request_digest)
        values ($1, $2, $3, $4, $5, $6, $7, $8, 'intended', $9, $10)
        on conflict (tenant_id, key) do nothing
        ",
        EffectId::new().0,
        attempt.tenant_id.0,
        attempt.job_id.0,
        spec.account_id.0,
        spec.network,
        spec.remote_account,
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
    let row = sqlx::query!(
        r#"
        select id as "id: EffectId", state as "state: EffectState", sent_at, send_until, remote_id, looks, clock_timestamp() as "now!",
          coalesce(extract(epoch from send_until - clock_timestamp()), 0)::float8 as "seconds_left!",
          coalesce(extract(epoch from send_until + make_interval(secs => $3) - engine_now()), 0)::float8 as "patience_left!",
          coalesce(failing_since < engine_now() - interval '24 hours', false) as "is_failing_for_long!"
        from effects
        where tenant_id = $1 and key = $2
        for update
        "#,
        tenant_id.0,
        spec.key,
        spec.patience.max(spec.lag).as_secs_f64()
    )
    .fetch_one(&mut ***tx)
    .await?;
    Ok(Row {
        id: row.id,
        state: row.state,
        seconds_left: row.seconds_left,
        patience_left: row.patience_left,
        is_failing_for_long: row.is_failing_for_long,
        looks: row.looks,
        remote_id: row.remote_id,
        sent_at: row.sent_at,
        send_until: row.send_until,
        now: row.now,
        read_at: Instant::now(),
    })
}

/// Records that the call of an effect may leave from now on.
pub(super) async fn mark_sent(tx: &mut AttemptTx, spec: &EffectSpec, id: EffectId) -> Result<(), sqlx::Error> {
    let attempt = tx.attempt();
    sqlx::query!(
        "
        update effects
        set state = 'sent', job_id = $3, attempt = $4, network = $5, remote_account = $6, request_digest = $7,
          sent_at = clock_timestamp(), send_until = clock_timestamp() + make_interval(secs => $8), lag_seconds = $9,
          looks = 0, complete_looks = 0, failing_since = null, evidence = evidence - 'candidates'
        where tenant_id = $1 and id = $2 and state = 'intended'
        ",
        attempt.tenant_id.0,
        id.0,
        attempt.job_id.0,
        attempt.number,
        spec.network,
        spec.remote_account,
        spec.request_digest,
        spec.timeout.as_secs_f64(),
        spec.lag.as_secs_f64()
    )
    .execute(&mut ***tx)
    .await?;
    Ok(())
}

/// Stores the media that were uploaded for an effect whose call was not sent.
pub(super) async fn keep_media(tx: &mut AttemptTx, spec: &EffectSpec, media: &[String]) -> Result<(), sqlx::Error> {
    let tenant_id = tx.attempt().tenant_id;
    sqlx::query!(
        "
        update effects
        set evidence = evidence || $3, evidence_at = engine_stamp()
        where tenant_id = $1 and key = $2 and state = 'intended'
        ",
        tenant_id.0,
        spec.key,
        json!({ "media": media })
    )
    .execute(&mut ***tx)
    .await?;
    Ok(())
}

/// Returns the candidates that belong to other effects, of any tenant.
pub(super) async fn list_taken(
    tx: &mut AttemptTx,
    spec: &EffectSpec,
    effect_id: EffectId,
    seen: &[Candidate],
) -> Result<Vec<String>, sqlx::Error> {
    let ids: Vec<String> = seen.iter().map(|candidate| candidate.remote.id.clone()).collect();
    sqlx::query_scalar!(
        r#"
        select id as "id!"
        from unnest($3::text[]) as seen (id)
        where is_remote_taken($1, $2, id, $4)
        "#,
        spec.network,
        spec.remote_account,
        &ids,
        effect_id.0
    )
    .fetch_all(&mut ***tx)
    .await
}

/// Returns true if the result may belong to another effect of any tenant that looks the same and is
/// not recorded yet. Its call is under way, or it is looked for too and was sent first.
pub(super) async fn has_rival(tx: &mut AttemptTx, spec: &EffectSpec, effect_id: EffectId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select has_rival($1, $2, $3, $4) as "rival!""#,
        spec.network,
        spec.remote_account,
        spec.request_digest,
        effect_id.0
    )
    .fetch_one(&mut ***tx)
    .await
}

/// Returns true if at least this many other effects that look the same are looked for.
pub(super) async fn has_equals(
    tx: &mut AttemptTx,
    spec: &EffectSpec,
    effect_id: EffectId,
    at_least: i32,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select has_equals($1, $2, $3, $4, $5) as "equals!""#,
        spec.network,
        spec.remote_account,
        spec.request_digest,
        effect_id.0,
        at_least
    )
    .fetch_one(&mut ***tx)
    .await
}

/// Returns true if no other call that looks the same can have made the result. That is so if no
/// such call with an unknown outcome was sent at about that time or later.
pub(super) async fn stands_alone(tx: &mut AttemptTx, spec: &EffectSpec, row: &Row) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select stands_alone($1, $2, $3, $4, $5) as "alone!""#,
        spec.network,
        spec.remote_account,
        spec.request_digest,
        row.id.0,
        row.sent().at - ABOUT_THAT_TIME
    )
    .fetch_one(&mut ***tx)
    .await
}

/// Claims a thing of the remote account for an effect. Returns false if another effect has it.
pub(crate) async fn claim_remote(
    tx: &mut Tx,
    tenant_id: TenantId,
    effect_id: EffectId,
    remote_id: &str,
) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query_scalar!(
        r#"
        select claim_remote(network, remote_account, $3, id) as "claimed!"
        from effects
        where tenant_id = $1 and id = $2 and network is not null and remote_account is not null
        "#,
        tenant_id.0,
        effect_id.0,
        remote_id
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(claimed.unwrap_or(true))
}

/// Records the outcome of a call of this attempt. The call is over in this process: nothing can
/// leave any more.
pub(super) async fn end_call(
    tx: &mut Tx,
    attempt: Attempt,
    id: EffectId,
    state: EffectState,
    fact: &Value,
    remote_id: Option<&str>,
) -> Result<(), sqlx::Error> {
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
        id.0,
        attempt.number,
        state.name(),
        fact,
        remote_id
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Counts a look. A look only speaks against the call if all was read after the lag and no
/// candidate was found.
pub(super) async fn count_look(tx: &mut Tx, tenant_id: TenantId, look: &Look) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update effects
        set looks = looks + 1,
          complete_looks = case
            when not $3 then complete_looks
            when $4 <> '[]'::jsonb then 0
            when engine_now() > send_until + make_interval(secs => lag_seconds) then complete_looks + 1
            else complete_looks
          end,
          failing_since = case when not $3 then coalesce(failing_since, engine_stamp()) end,
          evidence = case when $3 then jsonb_set(evidence, '{candidates}', $4) else evidence end
        where tenant_id = $1 and id = $2 and state = 'sent'
        ",
        tenant_id.0,
        look.effect_id.0,
        look.is_complete,
        look.listed()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends the search for the result of an effect.
pub(super) async fn end_doubt(
    tx: &mut Tx,
    tenant_id: TenantId,
    id: EffectId,
    state: EffectState,
    fact: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update effects
        set state = $3, facts = facts || jsonb_build_array($4::jsonb)
        where tenant_id = $1 and id = $2 and state = 'sent'
        ",
        tenant_id.0,
        id.0,
        state.name(),
        fact
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
