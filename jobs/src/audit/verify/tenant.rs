//! The verification of one tenant's chain.

use super::{
    Break, Fault,
    operators::Operators,
    walk::{Found, Walk},
};
use crate::{
    audit::{chain::Head, store},
    engine::Db,
    ids::TenantId,
    secrets::{Keyring, SecretError},
};

/// The maximum number of reported breaks per chain. If everything is broken, more of them say
/// nothing new.
const TOLD: usize = 1_000;

pub(super) async fn check(
    db: &Db,
    keyring: &Keyring,
    operators: &Operators,
    tenant_id: TenantId,
) -> Result<Found, sqlx::Error> {
    let mut tx = db.system().await?;
    let (head, last_seq) = store::end_of(&mut tx, tenant_id).await?;
    let (of_before, late) = store::count_of_before(&mut tx, tenant_id).await?;
    tx.commit().await?;
    let mut found = Found { is_chain: last_seq.is_some(), ..Found::default() };
    let broken = |seq, fault| Break { tenant_id, seq, fault };
    if let Some(erasure) = operators.erasure(tenant_id) {
        let is_left = last_seq.is_some() || head.is_some() || of_before > 0;
        if erasure.is_over && is_left {
            found.breaks.push(broken(last_seq.unwrap_or(0), Fault::Reappeared));
        }
        if !erasure.is_over {
            found.is_ending = true;
            found.breaks.extend(last_seq.filter(|seq| *seq > erasure.seq).map(|seq| broken(seq, Fault::BehindHead)));
        }
        return Ok(found);
    }
    found.of_before = u64::try_from(of_before).unwrap_or(0);
    if late > 0 {
        found.breaks.push(broken(0, Fault::Unchained(late)));
    }
    follow(db, keyring, tenant_id, head.as_ref(), last_seq, &mut found).await?;
    Ok(found)
}

/// Follows a chain up to its head.
pub(super) async fn follow(
    db: &Db,
    keyring: &Keyring,
    tenant_id: TenantId,
    head: Option<&Head>,
    last_seq: Option<i64>,
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    let mut walk = Walk::new(tenant_id);
    let until = head.map(|head| head.seq).or(last_seq).unwrap_or(0);
    loop {
        let mut before = walk.seq;
        let rows = walk.read_on(db, keyring, until).await?;
        if rows.is_empty() {
            break;
        }
        for (row, fault) in rows {
            found.entries += 1;
            if let Some(fault) = fault
                && found.breaks.len() < TOLD
            {
                found.breaks.push(walk.broken(before, &row, fault));
            }
            before = before.max(row.seq);
        }
    }
    found.breaks.extend(end_faults(keyring, &walk, head, last_seq));
    Ok(())
}

/// Returns the faults at the end of a chain that was followed up to its head.
pub(super) fn end_faults(keyring: &Keyring, walk: &Walk, head: Option<&Head>, last_seq: Option<i64>) -> Vec<Break> {
    let broken = |seq, fault| Break { tenant_id: walk.tenant_id, seq, fault };
    let Some(head) = head else {
        return last_seq.map(|seq| broken(seq, Fault::HeadMissing)).into_iter().collect();
    };
    let is_other = walk.seq == head.seq && head.seq > 0 && head.mac.as_deref() != Some(walk.mac.as_slice());
    let own = match head.verify(keyring) {
        Ok(()) if is_other => Some(Fault::HeadChanged),
        Ok(()) => None,
        Err(SecretError::UnknownKey(key)) => Some(Fault::UnknownKey(key)),
        Err(SecretError::Refused | SecretError::Malformed) => Some(Fault::HeadChanged),
    };
    let cut = (walk.seq < head.seq).then(|| broken(walk.seq + 1, Fault::TailCut(head.seq)));
    let behind = last_seq.filter(|seq| *seq > head.seq).map(|_| broken(head.seq + 1, Fault::BehindHead));
    own.map(|fault| broken(head.seq, fault)).into_iter().chain(cut).chain(behind).collect()
}
