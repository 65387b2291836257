//! The operators' chain: verified like the others, and read for its records about them.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Break, Fault, KnownHead,
    tenant::end_faults,
    walk::{Found, Walk},
};
use crate::{
    audit::{
        anchor::{self, Anchors},
        erase::{self, LastHead},
        store::{self, ChainRow},
    },
    engine::Db,
    ids::TenantId,
    secrets::Keyring,
};

/// The maximum number of breaks that one reading reports.
const TOLD: usize = 1_000;

/// The end of a tenant's chain.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Erasure {
    /// The place of its last entry.
    pub(super) seq: i64,
    /// True if nothing should be left of it.
    pub(super) is_over: bool,
}

/// The state of the operators' chain, as far as it was read.
#[derive(Debug)]
pub(super) struct Operators {
    walk: Walk,
    known: Option<KnownHead>,
    erasures: HashMap<TenantId, Erasure>,
    /// Recorded ends that do not exist, by tenant, the furthest of each. They may have been erased
    /// later.
    unmet: HashMap<TenantId, i64>,
    is_read: bool,
}

impl Operators {
    pub(super) fn new(known: Option<KnownHead>) -> Self {
        let walk = Walk::new(TenantId::SYSTEM);
        Self { walk, known, erasures: HashMap::new(), unmet: HashMap::new(), is_read: false }
    }

    /// Returns the erasure of a tenant's chain, if there is one.
    pub(super) fn erasure(&self, tenant_id: TenantId) -> Option<Erasure> {
        self.erasures.get(&tenant_id).copied()
    }

    pub(super) fn count_erased(&self) -> u64 {
        u64::try_from(self.erasures.values().filter(|erasure| erasure.is_over).count()).unwrap_or(u64::MAX)
    }

    /// Returns the head, as far as the chain was read.
    pub(super) fn head(&self) -> Option<KnownHead> {
        (self.walk.seq > 0).then(|| KnownHead { seq: self.walk.seq, mac: self.walk.mac.clone() })
    }

    /// Reads the entries that were added since.
    pub(super) async fn read_on(&mut self, db: &Db, keyring: &Keyring) -> Result<Found, sqlx::Error> {
        let mut tx = db.system().await?;
        let (head, last_seq) = store::end_of(&mut tx, TenantId::SYSTEM).await?;
        let (of_before, late) = store::count_of_before(&mut tx, TenantId::SYSTEM).await?;
        tx.commit().await?;
        let mut found = Found::default();
        let until = head.as_ref().map(|head| head.seq).or(last_seq).unwrap_or(0);
        loop {
            let mut before = self.walk.seq;
            let rows = self.walk.read_on(db, keyring, until).await?;
            if rows.is_empty() {
                break;
            }
            found.entries += u64::try_from(rows.len()).unwrap_or(0);
            for (row, fault) in rows {
                self.compare_known(&row, &mut found);
                match fault {
                    None => self.take(db, &row).await?,
                    Some(fault) if found.breaks.len() < TOLD => {
                        found.breaks.push(self.walk.broken(before, &row, fault));
                    }
                    Some(_) => {}
                }
                before = before.max(row.seq);
            }
        }
        if !self.is_read {
            self.is_read = true;
            found.is_chain = last_seq.is_some();
            found.of_before = u64::try_from(of_before).unwrap_or(0);
            let fault = Fault::Unchained(late);
            found.breaks.extend((late > 0).then_some(Break { tenant_id: TenantId::SYSTEM, seq: 0, fault }));
            found.breaks.extend(end_faults(keyring, &self.walk, head.as_ref(), last_seq));
        }
        Ok(found)
    }

    /// Returns the breaks that are known once all tenants were verified.
    pub(super) fn end(&mut self) -> Found {
        let mut found = Found::default();
        if let Some(known) = self.known.take() {
            let fault = Fault::NotAsKnown;
            found.breaks.push(Break { tenant_id: TenantId::SYSTEM, seq: known.seq, fault });
        }
        for (tenant_id, seq) in self.unmet.drain() {
            if self.erasures.get(&tenant_id).is_none_or(|erasure| erasure.seq < seq) {
                found.breaks.push(Break { tenant_id, seq, fault: Fault::NotAsAnchored });
            }
        }
        found
    }

    /// Drops the known head where it is found. If it is left at the end, the entry does not exist.
    fn compare_known(&mut self, row: &ChainRow, found: &mut Found) {
        let Some(known) = self.known.take_if(|known| known.seq == row.seq) else { return };
        if row.mac.as_ref() != Some(&known.mac) {
            found.breaks.push(Break { tenant_id: TenantId::SYSTEM, seq: row.seq, fault: Fault::NotAsKnown });
        }
    }

    async fn take(&mut self, db: &Db, row: &ChainRow) -> Result<(), sqlx::Error> {
        match row.action.as_str() {
            anchor::ACTION => self.compare_anchors(db, row).await,
            erase::BEGUN => {
                if let (Some(tenant_id), Ok(last)) = (erased(row), serde_json::from_str::<LastHead>(&row.details)) {
                    let erasure = self.erasures.entry(tenant_id).or_default();
                    *erasure = Erasure { seq: erasure.seq.max(last.seq), is_over: false };
                }
                Ok(())
            }
            erase::OVER => {
                if let Some(erasure) = erased(row).and_then(|tenant_id| self.erasures.get_mut(&tenant_id)) {
                    erasure.is_over = true;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn compare_anchors(&mut self, db: &Db, row: &ChainRow) -> Result<(), sqlx::Error> {
        let Ok(Anchors { heads }) = serde_json::from_str(&row.details) else { return Ok(()) };
        let mut macs = Vec::new();
        for (_, _, mac) in &heads {
            macs.push(hex::decode(mac).unwrap_or_default());
        }
        let (tenants, seqs): (Vec<Uuid>, Vec<i64>) =
            heads.into_iter().map(|(tenant_id, seq, _)| (tenant_id, seq)).unzip();
        let mut tx = db.system().await?;
        let unmet = store::list_unmet(&mut tx, &tenants, &seqs, &macs).await?;
        tx.commit().await?;
        for (tenant_id, seq) in unmet {
            let furthest = self.unmet.entry(tenant_id).or_default();
            *furthest = seq.max(*furthest);
        }
        Ok(())
    }
}

fn erased(row: &ChainRow) -> Option<TenantId> {
    Uuid::parse_str(&row.object_id).ok().map(TenantId)
}
