//! Appends entries to their tenants' chains.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Actor, Entry,
    chain::{Head, Sealed},
    store::{self, LockedHead, NewEntry},
};
use crate::{ids::TenantId, secrets::Keyring};

/// Appends entries. The scope must see their tenants.
///
/// Other transactions that append to one of these tenants wait for the end of this one. So this is
/// the last statement of a transaction, once for all tenants.
///
/// # Errors
/// Returns an error if a tenant is being erased, or if its chain was last signed with a key that is
/// not in the keyring.
pub async fn append(
    conn: &mut PgConnection,
    keyring: &Keyring,
    actor: &Actor,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let locked = store::lock_heads(conn, &in_order_of_locks(entries)).await?;
    let mut chains = BTreeMap::new();
    for LockedHead { head, now } in locked {
        if head.is_ending {
            return Err(sqlx::Error::Configuration("the tenant is being erased".into()));
        }
        let before = head.before(keyring).map_err(|error| sqlx::Error::Configuration(error.into()))?;
        chains.insert(head.tenant_id, Chain { head, before, now });
    }
    let sealed = entries
        .iter()
        .map(|entry| chains.get_mut(&entry.tenant_id).map(|chain| chain.add(keyring, actor, entry)))
        .collect::<Option<Vec<NewEntry>>>()
        .ok_or(sqlx::Error::RowNotFound)?;
    store::insert(conn, actor, &sealed).await?;
    let heads: Vec<Head> = chains.into_values().map(|chain| chain.signed(keyring)).collect();
    store::update_heads(conn, &heads).await
}

/// Returns each tenant once. The system comes last: every transaction waits for its lock, so it is
/// held for the shortest time.
fn in_order_of_locks(entries: &[Entry]) -> Vec<TenantId> {
    let mut tenants: Vec<TenantId> = entries.iter().map(|entry| entry.tenant_id).collect();
    tenants.sort_unstable_by_key(|tenant| (*tenant == TenantId::SYSTEM, *tenant));
    tenants.dedup();
    tenants
}

struct Chain {
    head: Head,
    before: Vec<u8>,
    now: DateTime<Utc>,
}

impl Chain {
    fn add(&mut self, keyring: &Keyring, actor: &Actor, entry: &Entry) -> NewEntry {
        self.head.seq += 1;
        let (id, details) = (Uuid::now_v7(), entry.details.to_string());
        let sealed = Sealed {
            tenant_id: entry.tenant_id,
            seq: self.head.seq,
            id,
            created_at_us: self.now.timestamp_micros(),
            actor_id: actor.id,
            actor_kind: actor.kind.name(),
            actor_name: &actor.name,
            remote_address: actor.remote_address.as_deref(),
            action: &entry.action,
            object_type: entry.object_type,
            object_id: &entry.object_id,
            details: &details,
        };
        let mac = sealed.sign(keyring, &self.before);
        self.before = mac.bytes.to_vec();
        NewEntry {
            id,
            tenant_id: entry.tenant_id,
            seq: self.head.seq,
            action: entry.action.clone(),
            object_type: entry.object_type,
            object_id: entry.object_id.clone(),
            details,
            created_at: self.now,
            mac,
        }
    }

    fn signed(mut self, keyring: &Keyring) -> Head {
        self.head.mac = Some(self.before);
        self.head.sign(keyring);
        self.head
    }
}
