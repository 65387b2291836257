//! A person's choice among the accounts that a login found.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::{
    SharedAccounts,
    connect::Grant,
    exchange_oauth_code::kept_token,
    store::{self, FoundRow},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{EnqueueError, Tx},
    ids::{AccountId, OauthStateId, TenantId},
    providers::{AccountToken, FoundAccount, NotOffered, Provider},
    secrets::SecretError,
    services::Services,
};

/// The reasons for which a choice is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// Nothing waits for a choice: it was made, or its time is over.
    #[error("nothing waits for a choice")]
    Over,
    /// No account was chosen.
    #[error("no account was chosen")]
    Nothing,
    /// That is none of the accounts.
    #[error("{0} is none of the accounts")]
    Unknown(Uuid),
    /// Another tenant has connected the account meanwhile.
    #[error("{0} is connected to another tenant")]
    Elsewhere(String),
    /// This version does not know the provider.
    #[error("the provider cannot be used")]
    NotOffered(#[from] NotOffered),
    /// A stored token cannot be read.
    #[error("a stored token cannot be read")]
    Secret(#[from] SecretError),
    /// The jobs could not be enqueued.
    #[error("the jobs could not be enqueued")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Connects the chosen accounts of a login, and forgets the others.
///
/// # Errors
/// Returns [`ChooseError`]; the caller drops the transaction.
pub async fn choose(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    (tenant_id, id): (TenantId, OauthStateId),
    chosen: &[Uuid],
) -> Result<Vec<AccountId>, ChooseError> {
    let mut report = store::lock_choosing(tx, tenant_id, id).await?.ok_or(ChooseError::Over)?.0;
    let rows = chosen_of(store::list_found(tx, tenant_id, id).await?, chosen)?;
    if services.shared_accounts == SharedAccounts::Refused {
        refuse_elsewhere(tx, tenant_id, &rows).await?;
    }
    let login = store::get_secrets(tx, tenant_id, id).await?.ok_or(ChooseError::Over)?;
    let provider = login.provider.known()?;
    let token = kept_token(&services.keyring, (tenant_id, id), &login)?.ok_or(ChooseError::Over)?;
    let accounts = rows.into_iter().map(|row| found(services, tenant_id, row)).collect::<Result<Vec<_>, _>>()?;
    let (token_id, connected) =
        Grant { tenant_id, provider, report: &report }.connect(tx, services, &token, accounts).await?;
    report.accounts.clone_from(&connected);
    store::mark_connected(tx, tenant_id, id, &report).await?;
    store::erase_login(tx, tenant_id, id).await?;
    let details = json!({ "accounts": connected, "login_id": id });
    let entry = Entry::new(tenant_id, "account.connect", "token", token_id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(connected)
}

fn chosen_of(mut rows: Vec<FoundRow>, chosen: &[Uuid]) -> Result<Vec<FoundRow>, ChooseError> {
    let chosen: BTreeSet<Uuid> = chosen.iter().copied().collect();
    if chosen.is_empty() {
        return Err(ChooseError::Nothing);
    }
    if let Some(unknown) = chosen.iter().find(|id| rows.iter().all(|row| row.id != **id)) {
        return Err(ChooseError::Unknown(*unknown));
    }
    rows.retain(|row| chosen.contains(&row.id));
    Ok(rows)
}

async fn refuse_elsewhere(tx: &mut Tx, tenant_id: TenantId, rows: &[FoundRow]) -> Result<(), ChooseError> {
    let places: (Vec<String>, Vec<String>) =
        rows.iter().map(|row| (row.platform.0.clone(), row.remote_id.clone())).unzip();
    let elsewhere = store::list_connected_elsewhere(tx, tenant_id, (&places.0, &places.1)).await?;
    let first = elsewhere.first().and_then(|&place| rows.get(usize::try_from(place).ok()?));
    first.map_or(Ok(()), |row| Err(ChooseError::Elsewhere(row.name.clone())))
}

fn found(services: &Services, tenant_id: TenantId, row: FoundRow) -> Result<FoundAccount, ChooseError> {
    let platform: Provider = row.platform.known()?;
    let place = FoundRow::token_place(tenant_id, row.id);
    let token = match (row.token_subject_id, row.token) {
        (Some(subject_id), Some(token)) => {
            Some(AccountToken { subject_id, secret: services.keyring.decrypt(place, &token)? })
        }
        (Some(_) | None, Some(_) | None) => None,
    };
    Ok(FoundAccount { platform, remote_id: row.remote_id, name: row.name, token })
}

#[cfg(test)]
mod tests;
