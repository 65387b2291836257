//! Staged pictures: uploaded for a delivery, and not shown by any post.

use sqlx::PgConnection;

use crate::{
    ids::{AccountId, DeliveryId, TenantId, TokenId},
    providers::StoredProvider,
};

/// Returns the account to delete staged pictures from, if a delivery has any.
pub async fn find_account_of_staged(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    effect_key: &str,
) -> Result<Option<AccountId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select delivery.account_id as "account_id: AccountId"
        from post_history delivery
        join effects effect on effect.tenant_id = $1 and effect.key = $3
        where delivery.tenant_id = $1 and delivery.id = $2 and effect.evidence ? 'media'
          and (effect.state = 'intended' or (effect.state = 'failed' and effect.facts -> -1 ? 'refused'))
        "#,
        tenant_id.0,
        id.0,
        effect_key
    )
    .fetch_optional(conn)
    .await
}

/// Staged pictures that are to be deleted.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns are described in the migration that makes the table")]
pub struct Staged {
    pub media: Vec<String>,
    pub account_id: AccountId,
    pub platform: StoredProvider,
    pub page_id: String,
    pub token_id: TokenId,
    pub access_token: String,
}

/// Takes the staged pictures off a delivery that failed or was cancelled before anything was sent.
///
/// Its row is locked first, so a concurrent attempt to publish it finds either all pictures or
/// none.
pub async fn take_staged(
    conn: &mut PgConnection,
    tenant_id: TenantId,
    id: DeliveryId,
    effect_key: &str,
) -> Result<Option<Staged>, sqlx::Error> {
    let account = sqlx::query!(
        r#"
        select account.id as "account_id: AccountId", account.platform as "platform: StoredProvider",
          account.remote_id as page_id, token.id as "token_id: TokenId", token.access_token
        from post_history delivery
        join social_accounts account on account.tenant_id = $1 and account.id = delivery.account_id
        join oauth_tokens token on token.tenant_id = $1 and token.id = account.token_id
        where delivery.tenant_id = $1 and delivery.id = $2 and delivery.state in ('failed', 'cancelled')
          and token.access_token <> ''
        for update of delivery
        "#,
        tenant_id.0,
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(account) = account else {
        return Ok(None);
    };
    let media = sqlx::query_scalar!(
        r#"
        update effects effect
        set evidence = effect.evidence - 'media', evidence_at = null
        from (select evidence from effects where tenant_id = $1 and key = $2) before
        where effect.tenant_id = $1 and effect.key = $2 and effect.evidence ? 'media'
          -- Where a call may have happened, a post may show them.
          and (effect.state = 'intended' or (effect.state = 'failed' and effect.facts -> -1 ? 'refused'))
        returning array(select jsonb_array_elements_text(before.evidence -> 'media')) as "media!"
        "#,
        tenant_id.0,
        effect_key
    )
    .fetch_optional(conn)
    .await?;
    Ok(media.map(|media| Staged {
        media,
        account_id: account.account_id,
        platform: account.platform,
        page_id: account.page_id,
        token_id: account.token_id,
        access_token: account.access_token,
    }))
}
