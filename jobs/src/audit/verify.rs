//! Whether the audit log is whole: every chain from its first entry to its head, and the heads against the operators' chain.

mod known_head;
mod operators;
mod tenant;
mod walk;

use std::fmt;

pub use self::known_head::KnownHead;
use self::{operators::Operators, walk::Found};
use super::store;
use crate::{engine::Db, ids::TenantId, secrets::Keyring};

/// Tenants that are looked up at once.
const TENANTS_AT_ONCE: i64 = 500;

/// Entries that are read at once: their details may be long.
const ENTRIES_AT_ONCE: i64 = 500;

/// A place where the audit log is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Whose chain; [`TenantId::SYSTEM`] for the operators'.
    pub tenant_id: TenantId,
    /// The place in the chain.
    pub seq: i64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a place in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The entry, or the mac before it, is not what was signed for this place.
    Changed,
    /// Entries are gone, or stand elsewhere: from this place to that.
    Missing(i64),
    /// The entry was signed with a key that is not in the keyring.
    UnknownKey(String),
    /// Entries up to the head are gone: the head is at this place.
    TailCut(i64),
    /// The head does not fit its mac, or the last entry.
    HeadChanged,
    /// There are entries and no head.
    HeadMissing,
    /// There are entries behind the head.
    BehindHead,
    /// So many entries outside the chain say that they are younger than it.
    Unchained(i64),
    /// The operators' chain says that another entry was here.
    NotAsAnchored,
    /// The operators' chain had another entry here when somebody noted it.
    NotAsKnown,
    /// The tenant was erased, and something of its log is there.
    Reappeared,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant_id, seq, fault } = self;
        write!(f, "tenant {tenant_id}, entry {seq}: ")?;
        match fault {
            Fault::Changed => write!(f, "was changed, moved here or forged"),
            Fault::Missing(last) => write!(f, "is missing, and all up to {last}"),
            Fault::UnknownKey(key) => write!(f, "was signed with key {key:?}, which is not in ENCRYPTION_KEYS"),
            Fault::TailCut(head) => write!(f, "is missing, and all up to the end at {head}"),
            Fault::HeadChanged => write!(f, "the head of the chain was changed"),
            Fault::HeadMissing => write!(f, "the head of the chain is missing"),
            Fault::BehindHead => write!(f, "is behind the head of the chain: the head was set back, or it was forged"),
            Fault::Unchained(count) => write!(f, "{count} entries outside the chain are younger than it"),
            Fault::NotAsAnchored => write!(f, "is not the one that the operators' chain has noted"),
            Fault::NotAsKnown => write!(f, "is not the one that was asked for"),
            Fault::Reappeared => write!(f, "is there, though the tenant was erased"),
        }
    }
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Chains that have entries, the operators' too.
    pub chains: u64,
    /// Entries in them.
    pub entries: u64,
    /// Entries from before there were chains: nobody can say whether they are as they were.
    pub of_before: u64,
    /// Tenants whose chain was ended and removed.
    pub erased: u64,
    /// Tenants that are being erased: what is left of them is not looked at.
    pub being_erased: u64,
    /// Places where something is wrong.
    pub breaks: u64,
    /// Where the operators' chain ends: whoever keeps that elsewhere can ask for it the next time.
    pub head: Option<KnownHead>,
}

/// Checks everything, in short transactions beside a running system, and tells each break as it is found. With `known`, also
/// that the operators' chain still has an entry that somebody noted.
pub async fn verify(
    db: &Db,
    keyring: &Keyring,
    known: Option<KnownHead>,
    tell: &mut (dyn FnMut(&Break) + Send),
) -> Result<Report, sqlx::Error> {
    let mut report = Report::default();
    let mut operators = Operators::new(known);
    settle(&mut report, &operators.read_on(db, keyring).await?, tell);
    let mut after = TenantId::SYSTEM;
    loop {
        let mut tx = db.system().await?;
        let tenants = store::list_tenants(&mut tx, after, TENANTS_AT_ONCE).await?;
        tx.commit().await?;
        let Some(last) = tenants.last() else { break };
        after = *last;
        for tenant_id in tenants {
            let mut found = tenant::check(db, keyring, &operators, tenant_id).await?;
            if !found.breaks.is_empty() {
                // It may have been erased since.
                settle(&mut report, &operators.read_on(db, keyring).await?, tell);
                found = tenant::check(db, keyring, &operators, tenant_id).await?;
            }
            settle(&mut report, &found, tell);
        }
    }
    settle(&mut report, &operators.read_on(db, keyring).await?, tell);
    settle(&mut report, &operators.end(), tell);
    report.erased = operators.count_erased();
    report.head = operators.head();
    Ok(report)
}

fn settle(report: &mut Report, found: &Found, tell: &mut (dyn FnMut(&Break) + Send)) {
    report.chains += u64::from(found.is_chain);
    report.entries += found.entries;
    report.of_before += found.of_before;
    report.being_erased += u64::from(found.is_ending);
    report.breaks += u64::try_from(found.breaks.len()).unwrap_or(u64::MAX);
    found.breaks.iter().for_each(tell);
}
