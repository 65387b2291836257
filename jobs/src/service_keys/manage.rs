//! Checking, storing and removing a tenant's own keys.

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{
    KeyError, OwnKey, Service,
    store::{self, NewServiceKey, ServiceKeyRow},
};
use crate::{
    audit::{self, Actor, Entry},
    connections::{ConnectWorkspace, end_connections},
    engine::{
        NewJob, Priority, Tx,
        ledger::{self, Action},
    },
    ids::TenantId,
    kinds::KINDS,
    providers::{Provider, Workspace, ai::AiError},
    services::Services,
    tenants,
};

/// Checks a key of OpenAI, by one call.
///
/// # Errors
/// Returns [`KeyError`], with which nothing is to be stored.
pub async fn check_openai(services: &Services, key: &OwnKey) -> Result<(), KeyError> {
    let service = Service::Openai;
    services.ai.with_key(key.secret().clone()).check_key().await.map_err(|error| match error {
        AiError::Key(_) => KeyError::Refused(service),
        AiError::NotConfigured
        | AiError::NoAnswer(_)
        | AiError::Rate(_)
        | AiError::Config(_)
        | AiError::Declined(_)
        | AiError::Unusable(_) => KeyError::NoAnswer(service),
    })
}

/// Checks a key of Publer, by one call. Returns the workspaces that it opens.
///
/// # Errors
/// Returns [`KeyError`], with which nothing is to be stored.
pub async fn check_publer(services: &Services, key: &OwnKey) -> Result<Vec<Workspace>, KeyError> {
    let client = services.providers.workspaces(Provider::Publer)?;
    let workspaces = client.list(key.secret()).await;
    let workspaces = workspaces.map_err(|error| KeyError::of_provider(Service::Publer, &error))?;
    if workspaces.is_empty() { Err(KeyError::NoWorkspace) } else { Ok(workspaces) }
}

/// Stores a checked key of OpenAI in place of an earlier one. Work that waited for it goes on.
///
/// # Errors
/// Returns [`KeyError`]; the caller drops the transaction.
pub async fn put_openai(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    key: &OwnKey,
) -> Result<ServiceKeyRow, KeyError> {
    let row = put(tx, services, tenant_id, (Service::Openai, key), (&[], None)).await?;
    resume(tx, tenant_id).await?;
    record(tx, services, actor, tenant_id, (Service::Openai, "put")).await?;
    Ok(row)
}

/// Stores a checked key of Publer in place of an earlier one, with the workspaces that it opens. If
/// one is chosen, or if there is only one, its accounts are connected by a job.
///
/// # Errors
/// Returns [`KeyError`]; the caller drops the transaction.
pub async fn put_publer(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    (key, workspaces, chosen): (&OwnKey, &[Workspace], Option<&str>),
) -> Result<ServiceKeyRow, KeyError> {
    let chosen = match (chosen, workspaces) {
        (Some(id), _) => Some(find(workspaces, id)?),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let workspace_id = chosen.map(|workspace| workspace.id.as_str());
    let row = put(tx, services, tenant_id, (Service::Publer, key), (workspaces, workspace_id)).await?;
    match workspace_id {
        Some(_) => connect(tx, tenant_id, row.id).await?,
        // The accounts of an earlier key must not be used with it any longer.
        None => end_connections(tx, tenant_id, Provider::Publer, None).await?,
    }
    record(tx, services, actor, tenant_id, (Service::Publer, "put")).await?;
    Ok(row)
}

/// Chooses a workspace of the stored key of Publer. Returns `None` if there is no key.
///
/// # Errors
/// Returns [`KeyError`]; the caller drops the transaction.
pub async fn choose_workspace(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    workspace_id: &str,
) -> Result<Option<ServiceKeyRow>, KeyError> {
    let Some(row) = store::get(tx, tenant_id, Service::Publer).await? else {
        return Ok(None);
    };
    find(&row.workspaces, workspace_id)?;
    store::set_workspace(tx, tenant_id, row.id, workspace_id).await?;
    connect(tx, tenant_id, row.id).await?;
    record(tx, services, actor, tenant_id, (Service::Publer, "choose")).await?;
    Ok(store::get(tx, tenant_id, Service::Publer).await?)
}

/// Removes a key, and disconnects the accounts that it opened. Work that waited for a key of OpenAI
/// goes on with the platform's. Returns true if there was one.
pub async fn delete(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    service: Service,
) -> Result<bool, sqlx::Error> {
    if !store::delete(tx, tenant_id, service).await? {
        return Ok(false);
    }
    match service {
        Service::Openai => resume(tx, tenant_id).await?,
        Service::Publer => end_connections(tx, tenant_id, Provider::Publer, None).await?,
    }
    record(tx, services, actor, tenant_id, (service, "delete")).await?;
    Ok(true)
}

fn find<'a>(workspaces: &'a [Workspace], id: &str) -> Result<&'a Workspace, KeyError> {
    workspaces.iter().find(|workspace| workspace.id == id).ok_or(KeyError::OtherWorkspace)
}

/// Replaces a row. The lock of the tenant makes concurrent requests take turns.
async fn put(
    tx: &mut Tx,
    services: &Services,
    tenant_id: TenantId,
    (service, key): (Service, &OwnKey),
    (workspaces, workspace_id): (&[Workspace], Option<&str>),
) -> Result<ServiceKeyRow, KeyError> {
    tenants::store::lock(tx, tenant_id).await?.ok_or(KeyError::MissingTenant)?;
    store::delete(tx, tenant_id, service).await?;
    let id = Uuid::now_v7();
    let secret: &SecretString = key.secret();
    let secret = services.keyring.encrypt(store::key_place(tenant_id, id), secret);
    let last_four = key.last_four();
    let new = NewServiceKey { id, service, secret: &secret, last_four, workspaces, workspace_id };
    store::insert(tx, tenant_id, &new).await?;
    Ok(store::get(tx, tenant_id, service).await?.ok_or(sqlx::Error::RowNotFound)?)
}

async fn connect(tx: &mut Tx, tenant_id: TenantId, key_id: Uuid) -> Result<(), KeyError> {
    let job = NewJob::new(tenant_id, &ConnectWorkspace { key_id });
    tx.enqueue(job.with_priority(Priority::Interactive)).await?;
    Ok(())
}

/// Runs the jobs at once that waited for another key of OpenAI.
async fn resume(tx: &mut Tx, tenant_id: TenantId) -> Result<(), sqlx::Error> {
    let blocked = store::list_blocked_jobs(tx, tenant_id).await?;
    ledger::act(tx, KINDS, Action::RunNow, &blocked).await?;
    Ok(())
}

async fn record(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    (service, what): (Service, &str),
) -> Result<(), sqlx::Error> {
    let action = format!("service_key.{what}");
    let entry = Entry::new(tenant_id, &action, "service_key", service.name(), json!({}));
    audit::append(tx, &services.keyring, actor, &[entry]).await
}

#[cfg(test)]
mod tests;
