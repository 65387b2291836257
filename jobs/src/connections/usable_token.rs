//! Returns the token of an account for a use right now.

use secrecy::SecretString;

use super::{
    refresh::{disconnected, read_secrets, refresh},
    store,
};
use crate::{
    engine::{JobContext, JobError},
    ids::{AccountId, TokenId},
};

/// Returns an access token that does not end within the next minutes. One that does is refreshed
/// first.
///
/// If the refresh fails while the old token still works, the old one is returned.
pub async fn usable_token(
    cx: &JobContext,
    token_id: TokenId,
    account_id: Option<AccountId>,
) -> Result<SecretString, JobError> {
    let mut tx = cx.begin().await?;
    let row = store::get_token(&mut tx, cx.tenant_id(), token_id).await?;
    drop(tx);
    let Some(row) = row else {
        return Err(disconnected());
    };
    if row.is_ending {
        match refresh(cx, &row, account_id).await {
            Err(error) if !row.is_over => {
                tracing::info!(%token_id, %error, "a token that ends soon is used as it is");
            }
            result => return result,
        }
    }
    Ok(read_secrets(cx.services(), cx.tenant_id(), &row)?.secret)
}
