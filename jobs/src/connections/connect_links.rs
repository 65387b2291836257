//! Links by which people without an account here connect theirs: an agency's clients.

use std::time::Duration;

use serde_json::json;

use super::{
    OpenError, Opened, flow,
    store::{self, ConnectLinkRow, NewLogin, OpenLink},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::{ConnectLinkId, TenantId, UserId},
    providers::{Provider, Providers},
    secrets::{fingerprint, random_token},
    services::Services,
    tenants,
};

/// Makes a link for a tenant, which is valid for a week. Returns it with its secret, of which only
/// the hash is stored, or `None` if there is no such tenant.
pub async fn make_link(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    (tenant_id, provider): (TenantId, Provider),
    maker: Option<UserId>,
) -> Result<Option<(ConnectLinkRow, String)>, sqlx::Error> {
    if tenants::store::get(tx, tenant_id).await?.is_none() {
        return Ok(None);
    }
    let secret = random_token();
    let row = store::insert_connect_link(tx, tenant_id, provider, &fingerprint(&secret), maker).await?;
    let details = json!({ "provider": provider.name(), "expires_at": row.expires_at });
    let entry = Entry::new(tenant_id, "connect_link.create", "connect_link", row.id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some((row, secret)))
}

/// Revokes a link: nobody begins or finishes a login with it any more. Returns `None` if the tenant
/// has no such link.
pub async fn revoke_link(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    id: ConnectLinkId,
) -> Result<Option<ConnectLinkRow>, sqlx::Error> {
    let Some(row) = store::revoke_connect_link(tx, tenant_id, id).await? else {
        return Ok(None);
    };
    let entry = Entry::new(tenant_id, "connect_link.revoke", "connect_link", id, json!({}));
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(row))
}

/// Returns the link with this secret, if it works. Needs the system scope.
pub async fn find_link(tx: &mut Tx, secret: &str) -> Result<Option<OpenLink>, sqlx::Error> {
    store::find_connect_link(tx, &fingerprint(secret)).await
}

/// Begins a login with a link, in the browser that opens it. Needs the system scope.
///
/// # Errors
/// Returns [`OpenError`]; nothing is begun once the transaction is dropped.
pub async fn open_link(
    tx: &mut Tx,
    providers: &Providers,
    link: &OpenLink,
    life: Duration,
) -> Result<Option<Opened>, OpenError> {
    let provider = link.provider.known()?;
    let new = NewLogin {
        tenant_id: link.tenant_id,
        provider,
        user_id: None,
        account_id: None,
        connect_link_id: Some(link.id),
    };
    let begun = flow::insert(tx, &new, life).await?;
    store::note_link_use(tx, link.tenant_id, link.id).await?;
    flow::open_ticket(tx, providers, &begun.ticket).await
}
