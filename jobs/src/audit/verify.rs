//! Verifies the audit log: every chain from its first entry to its head, and the heads against the
//! operators' chain.

mod known_head;
mod operators;
mod tenant;
mod walk;

use std::fmt;

pub use self::known_head::KnownHead;
use self::{operators::Operators, walk::Found};
use super::store;
use crate::{engine::Db, ids::TenantId, secrets::Keyring};

/// The number of tenants that one query reads.
const TENANTS_AT_ONCE: i64 = 500;

/// The number of entries that one query reads: their details may be long.
const ENTRIES_AT_ONCE: i64 = 500;

/// A place where the audit log is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The tenant of the chain; [`TenantId::SYSTEM`] for the operators' chain.
    pub tenant_id: TenantId,
    /// The place in the chain.
    pub seq: i64,
    /// The fault.
    pub fault: Fault,
}

/// The fault of a place in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The entry, or the MAC before it, is not the one that was signed for this place.
    Changed,
    /// Entries are gone or were moved, from this place to that one.
    Missing(i64),
    /// The entry was signed with a key that is not in the keyring.
    UnknownKey(String),
    /// Entries up to the head are gone; the head is at this place.
    TailCut(i64),
    /// The head does not fit its MAC, or does not fit the last entry.
    HeadChanged,
    /// The chain has entries and no head.
    HeadMissing,
    /// The chain has entries after its head.
    BehindHead,
    /// This number of entries outside the chain claim to be younger than the chain.
    Unchained(i64),
    /// The operators' chain recorded another entry at this place.
    NotAsAnchored,
    /// The operators' chain had another entry here when its head was noted.
    NotAsKnown,
    /// The tenant was erased, but a part of its log exists.
    Reappeared,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant_id, seq, fault } = self;
        write!(f, "tenant {tenant_id}, entry {seq}: {fault}")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => write!(f, "was changed, moved here or forged"),
            Self::Missing(last) => write!(f, "is missing, and all up to {last}"),
            Self::UnknownKey(key) => write!(f, "was signed with key {key:?}, which is not in ENCRYPTION_KEYS"),
            Self::TailCut(head) => write!(f, "is missing, and all up to the end at {head}"),
            Self::HeadChanged => write!(f, "the head of the chain was changed"),
            Self::HeadMissing => write!(f, "the head of the chain is missing"),
            Self::BehindHead => write!(f, "is behind the head of the chain: the head was set back, or it was forged"),
            Self::Unchained(count) => write!(f, "{count} entries outside the chain are younger than it"),
            Self::NotAsAnchored => write!(f, "is not the one that the operators' chain has noted"),
            Self::NotAsKnown => write!(f, "is not the one that was asked for"),
            Self::Reappeared => write!(f, "is there, though the tenant was erased"),
        }
    }
}

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The number of chains with entries, including the operators' chain.
    pub chains: u64,
    /// The number of entries in them.
    pub entries: u64,
    /// The number of entries from before there were chains. They cannot be verified.
    pub of_before: u64,
    /// The number of tenants whose chain was erased.
    pub erased: u64,
    /// The number of tenants that are being erased. Their remaining entries are not verified.
    pub being_erased: u64,
    /// The number of faulty places.
    pub breaks: u64,
    /// The head of the operators' chain. Whoever notes it elsewhere can pass it to the next
    /// verification.
    pub head: Option<KnownHead>,
}

/// Verifies everything, in short transactions beside a running system, and reports each break when
/// it is found.
///
/// With `known`, it also verifies that the operators' chain still has an entry that somebody noted.
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
                // The chain may have been erased since.
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

/// The most entries of a chain that a request verifies.
const MAX_ENTRIES: i64 = 100_000;

/// The result of the verification of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// The number of entries in the chain.
    pub entries: u64,
    /// The number of entries from before there were chains. They cannot be verified.
    pub of_before: u64,
    /// The faulty places, a thousand at most.
    pub breaks: Vec<Break>,
}

/// The reason why one chain is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The chain is too long for a request: it ends at this place.
    #[error("the chain has {0} entries")]
    TooLong(i64),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Verifies the chain of one tenant up to its head, in short transactions. It does not compare the
/// head with the operators' chain, as [`verify`] does.
///
/// # Errors
/// [`VerifyError::TooLong`] for a chain of over 100,000 entries.
pub async fn verify_chain(db: &Db, keyring: &Keyring, tenant_id: TenantId) -> Result<ChainReport, VerifyError> {
    let mut tx = db.system().await?;
    let (head, last_seq) = store::end_of(&mut tx, tenant_id).await?;
    tx.commit().await?;
    let end = head.map_or(0, |head| head.seq).max(last_seq.unwrap_or(0));
    if end > MAX_ENTRIES {
        return Err(VerifyError::TooLong(end));
    }
    let Found { entries, of_before, breaks, .. } = tenant::check(db, keyring, &Operators::new(None), tenant_id).await?;
    Ok(ChainReport { entries, of_before, breaks })
}

fn settle(report: &mut Report, found: &Found, tell: &mut (dyn FnMut(&Break) + Send)) {
    report.chains += u64::from(found.is_chain);
    report.entries += found.entries;
    report.of_before += found.of_before;
    report.being_erased += u64::from(found.is_ending);
    report.breaks += u64::try_from(found.breaks.len()).unwrap_or(u64::MAX);
    found.breaks.iter().for_each(tell);
}
