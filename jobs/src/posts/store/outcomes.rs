//! The state changes of a delivery.

use sqlx::PgConnection;

use crate::{
    connections::store::{AccountStatus, ENDING},
    engine::{Facts, Remote},
    ids::{AccountId, DeliveryId, JobId, TenantId, TokenId},
    posts::DeliveryState,
    providers::StoredProvider,
    tenants::settings::OnUnknown,
};

/// Everything that is needed to publish a delivery.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct ClaimedDelivery {
    pub delivery_id: DeliveryId,
    pub caption: String,
    pub asset_key: Option<String>,
    pub content_type: Option<String>,
    pub account_id: AccountId,
    pub platform: StoredProvider,
    pub account_status: AccountStatus,
    pub account_status_reason: Option<String>,
    pub page_id: String,
    pub token_id: TokenId,
    pub access_token: String,
    /// True if the token ends within minutes, or has ended.
    pub is_token_ending: bool,
    /// True if the call of an earlier attempt may have been sent.
    pub was_sent: bool,
    /// The ids of the pictures that were uploaded for it.
    pub staged: Vec<String>,
    /// True if the network keeps those pictures for some hours more.
    pub is_staged_lately: bool,
    /// The time for which the post is looked for if the network does not show it.
    pub unknown_after_minutes: Option<i32>,
    /// The action after that time.
    pub on_unknown: Option<OnUnknown>,
}

/// Claims a delivery for its job: from `scheduled`, or from the state in which an earlier attempt
/// or a retry of the same job left it.
///
/// Returns `None` if it was deleted, is published, or belongs to another job.
pub async fn claim(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    job_id: JobId,
    effect_key: &str,
) -> Result<Option<ClaimedDelivery>, sqlx::Error> {
    sqlx::query_as!(
        ClaimedDelivery,
        r#"
        with claimed as (
          update post_history
          set state = case
              when state = 'unknown' and exists (
                select from effects where tenant_id = $1 and key = $4 and effects.state in ('sent', 'unknown')
              ) then state
              else 'submitting'
            end,
            job_id = $3, blocked_by = null,
            -- What the last look came to stays until the next one ends.
            error = case when sent.is_open then error end,
            error_class = case when sent.is_open then error_class end
          from (
            select exists (select from effects where tenant_id = $1 and key = $4 and effects.state = 'sent') as is_open
          ) sent
          where tenant_id = $1 and id = $2
            and (state = 'scheduled'
              or (state in ('submitting', 'unknown', 'failed', 'cancelled') and job_id is not distinct from $3))
          returning id, post_id, account_id, asset_id
        )
        select claimed.id as "delivery_id: DeliveryId", coalesce(post.caption, '') as "caption!",
          asset.storage_key as "asset_key?", asset.content_type as "content_type?",
          account.id as "account_id: AccountId", account.platform as "platform: StoredProvider",
          account.status as "account_status: AccountStatus",
          account.status_reason as account_status_reason, account.remote_id as page_id,
          token.id as "token_id: TokenId", token.access_token,
          coalesce(token.expires_at <= engine_now() + make_interval(secs => $5), false) as "is_token_ending!",
          coalesce(effect.state <> 'intended', false) as "was_sent!",
          array(select jsonb_array_elements_text(coalesce(effect.evidence -> 'media', '[]'))) as "staged!",
          coalesce(effect.evidence_at > engine_now() - interval '12 hours', false) as "is_staged_lately!",
          settings.unknown_after_minutes as "unknown_after_minutes?",
          settings.on_unknown as "on_unknown?: OnUnknown"
        from claimed
        join posts post on post.tenant_id = $1 and post.id = claimed.post_id
        join social_accounts account on account.tenant_id = $1 and account.id = claimed.account_id
        join oauth_tokens token on token.tenant_id = $1 and token.id = account.token_id
        left join brand_assets asset on asset.tenant_id = $1 and asset.id = claimed.asset_id
        left join effects effect on effect.tenant_id = $1 and effect.key = $4
        left join tenant_settings settings on settings.tenant_id = $1
        "#,
        tenant_id.0,
        id.0,
        job_id.0,
        effect_key,
        ENDING.as_secs_f64()
    )
    .fetch_optional(conn)
    .await
}

/// Marks a delivery as published, with the provider's id of the post.
pub async fn mark_published(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    remote: &Remote,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update post_history
        set state = 'published', remote_id = $3, permalink = coalesce($4, permalink), published_at = engine_stamp()
        where tenant_id = $1 and id = $2 and state in ('submitting', 'unknown')
        ",
        tenant_id.0,
        id.0,
        remote.id,
        remote.permalink
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks a delivery whose outcome nobody knows. Returns true if the tenant was not told yet.
pub async fn mark_unknown(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    facts: &Facts,
) -> Result<bool, sqlx::Error> {
    mark(conn, tenant_id, id, DeliveryState::Unknown, Some(facts), None).await
}

/// Returns a delivery that cannot be published yet to `scheduled`, with the cause if it is not the
/// time.
pub async fn mark_waiting(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    facts: &Facts,
    blocked_by: Option<&str>,
) -> Result<(), sqlx::Error> {
    mark(conn, tenant_id, id, DeliveryState::Scheduled, Some(facts), blocked_by).await?;
    Ok(())
}

/// Records the result of the last search for a delivery that may be published.
pub async fn mark_looked_for(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    facts: &Facts,
) -> Result<(), sqlx::Error> {
    mark(conn, tenant_id, id, DeliveryState::Submitting, Some(facts), None).await?;
    Ok(())
}

/// Marks a delivery as failed. Returns true if the tenant was not told yet.
pub async fn mark_failed(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    facts: &Facts,
) -> Result<bool, sqlx::Error> {
    mark(conn, tenant_id, id, DeliveryState::Failed, Some(facts), None).await
}

/// Marks a delivery as cancelled.
pub async fn mark_cancelled(conn: &mut PgConnection, tenant_id: TenantId, id: DeliveryId) -> Result<(), sqlx::Error> {
    mark(conn, tenant_id, id, DeliveryState::Cancelled, None, None).await?;
    Ok(())
}

/// Swaps the provider's post ids of two jobs' deliveries.
pub async fn swap_published(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    one: JobId,
    other: JobId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update post_history delivery
        set remote_id = before.remote_id, permalink = before.permalink
        from post_history before
        where delivery.tenant_id = $1 and before.tenant_id = $1
          and delivery.state = 'published' and before.state = 'published'
          and ((delivery.job_id = $2 and before.job_id = $3) or (delivery.job_id = $3 and before.job_id = $2))
        ",
        tenant_id.0,
        one.0,
        other.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Resets a failed or cancelled delivery to `scheduled`, because its job runs again.
pub async fn mark_brought_back(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        update post_history
        set state = 'scheduled', error = null, error_class = null, blocked_by = null
        where tenant_id = $1 and id = $2 and state in ('failed', 'cancelled')
        ",
        tenant_id.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes the state. Returns true if the tenant is to be told about this outcome and was not told
/// yet.
async fn mark(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    state: DeliveryState,
    facts: Option<&Facts>,
    blocked_by: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let is_news = sqlx::query_scalar!(
        r#"
        with before as (
          select id, notified_of
          from post_history
          where tenant_id = $1 and id = $2 and state in ('scheduled', 'submitting')
          for update
        )
        update post_history delivery
        set state = $3, error_class = $4, error = $5, blocked_by = $6,
          notified_of = case when $3 in ('failed', 'unknown') then $3 else delivery.notified_of end
        from before
        where delivery.tenant_id = $1 and delivery.id = before.id
        returning $3 in ('failed', 'unknown') and before.notified_of is distinct from $3 as "is_news!"
        "#,
        tenant_id.0,
        id.0,
        state.name(),
        facts.map(|facts| facts.class.name()),
        facts.map(|facts| facts.message.as_str()),
        blocked_by
    )
    .fetch_optional(conn)
    .await?;
    Ok(is_news.unwrap_or(false))
}

/// Marks the account of a delivery as needing its user. It does nothing if the account was
/// connected again since the refused attempt began.
///
/// Returns the account if it did not need its user before.
pub async fn mark_account_needs_reauth(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    reason: &str,
) -> Result<Option<AccountId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        update social_accounts account
        set status = 'needs_reauth', status_reason = $3
        from post_history delivery, jobs job, oauth_tokens token
        where delivery.tenant_id = $1 and delivery.id = $2
          and job.tenant_id = $1 and job.id = delivery.job_id
          and account.tenant_id = $1 and account.id = delivery.account_id
          and token.tenant_id = $1 and token.id = account.token_id and token.refreshed_at < job.started_at
          and account.status = 'active'
        returning account.id as "id: AccountId"
        "#,
        tenant_id.0,
        id.0,
        reason
    )
    .fetch_optional(conn)
    .await
}
