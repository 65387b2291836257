//! Walks one chain, entry by entry.

use super::{Break, ENTRIES_AT_ONCE, Fault};
use crate::{
    audit::{
        chain::START,
        store::{self, ChainRow},
    },
    engine::Db,
    ids::TenantId,
    secrets::{Keyring, SecretError},
};

/// The findings of a part of the verification.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) is_chain: bool,
    pub(super) is_ending: bool,
    pub(super) entries: u64,
    pub(super) of_before: u64,
    pub(super) breaks: Vec<Break>,
}

/// The position up to which a chain was followed.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) tenant_id: TenantId,
    /// The last entry that was read. It starts before any possible entry, so that forged ones
    /// before the first are read too.
    read: i64,
    /// The place of the last entry that was at its place.
    pub(super) seq: i64,
    /// The MAC of that entry.
    pub(super) mac: Vec<u8>,
}

impl Walk {
    pub(super) fn new(tenant_id: TenantId) -> Self {
        Self { tenant_id, read: i64::MIN, seq: 0, mac: START.to_vec() }
    }

    /// Reads the next entries up to a place, each with its fault. The list is empty if there are no
    /// more.
    pub(super) async fn read_on(
        &mut self,
        db: &Db,
        keyring: &Keyring,
        until: i64,
    ) -> Result<Vec<(ChainRow, Option<Fault>)>, sqlx::Error> {
        let mut tx = db.system().await?;
        let rows = store::list_chain(&mut tx, self.tenant_id, self.read, until, ENTRIES_AT_ONCE).await?;
        tx.commit().await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let fault = self.step(keyring, &row);
                (row, fault)
            })
            .collect())
    }

    fn step(&mut self, keyring: &Keyring, row: &ChainRow) -> Option<Fault> {
        self.read = row.seq;
        if row.seq <= self.seq {
            return Some(Fault::Changed);
        }
        let is_next = row.seq == self.seq + 1;
        // The predecessor of an entry after a gap is unknown.
        let fault = if is_next { self.fault_of(keyring, row) } else { Some(Fault::Missing(row.seq - 1)) };
        self.seq = row.seq;
        self.mac = row.mac.clone().unwrap_or_default();
        fault
    }

    fn fault_of(&self, keyring: &Keyring, row: &ChainRow) -> Option<Fault> {
        let (Some(sealed), Some(key_id), Some(mac)) = (row.sealed(), &row.key_id, &row.mac) else {
            return Some(Fault::Changed);
        };
        match sealed.verify(keyring, &self.mac, key_id, mac) {
            Ok(()) => None,
            Err(SecretError::UnknownKey(key)) => Some(Fault::UnknownKey(key)),
            Err(SecretError::Refused | SecretError::Malformed) => Some(Fault::Changed),
        }
    }

    /// Returns the break for an entry's fault; `before` is the place in front of it.
    pub(super) fn broken(&self, before: i64, row: &ChainRow, fault: Fault) -> Break {
        let seq = if matches!(fault, Fault::Missing(_)) { before + 1 } else { row.seq };
        Break { tenant_id: self.tenant_id, seq, fault }
    }
}
