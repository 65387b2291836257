//! Turns of lanes: selects the due jobs to release, and their order.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A tenant and its account.
pub(super) type Lane = (Uuid, Uuid);

/// A job that could be released.
#[derive(Debug, Clone)]
pub(super) struct DueJob {
    pub(super) id: Uuid,
    pub(super) lane: Lane,
    pub(super) run_at: DateTime<Utc>,
    /// The end of its account's park.
    pub(super) parked_until: Option<DateTime<Utc>>,
    /// True if a live worker runs its kind.
    pub(super) is_known: bool,
    /// The number of jobs that the statement asked for in its lane.
    pub(super) share: usize,
    /// The most jobs of its tenant that may be released. `None`: no limit.
    pub(super) tenant_room: Option<i64>,
    /// True if no job of its tenant runs or is released.
    pub(super) is_tenant_idle: bool,
    /// Its place among the jobs of its lane, from 0.
    pub(super) turn: usize,
    /// True if its lane had fewer jobs than were asked for.
    pub(super) is_last: bool,
}

/// Takes `room` jobs: the first of every lane, then the second of every lane, and so on. Takes no
/// more of a tenant than its limit leaves. Beyond `shared_room` takes only the first job of tenants
/// that run nothing.
pub(super) fn choose(mut picked: Vec<DueJob>, room: usize, shared_room: Option<i64>) -> Vec<DueJob> {
    picked.sort_by_key(|job| (job.lane, job.run_at, job.id));
    for lane in picked.chunk_by_mut(|one, next| one.lane == next.lane) {
        let has_less = lane.len() < lane[0].share;
        for (turn, job) in lane.iter_mut().enumerate() {
            (job.turn, job.is_last) = (turn, has_less);
        }
    }
    picked.sort_by_key(|job| (job.turn, job.lane));
    let mut taken: BTreeMap<Uuid, i64> = BTreeMap::new();
    let mut all_taken = 0;
    picked.retain(|job| {
        let taken = taken.entry(job.lane.0).or_default();
        let is_first = job.is_tenant_idle && *taken == 0;
        let fits = job.tenant_room.is_none_or(|most| *taken < most)
            && (is_first || shared_room.is_none_or(|most| all_taken < most));
        *taken += i64::from(fits);
        all_taken += i64::from(fits);
        fits
    });
    picked.truncate(room);
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `count` jobs of a tenant's lane, of which `share` were asked for.
    fn lane(tenant: u128, lane: u128, count: usize, share: usize, tenant_room: Option<i64>) -> Vec<DueJob> {
        let job = |number| DueJob {
            id: Uuid::from_u128(lane * 100 + number as u128),
            lane: (Uuid::from_u128(tenant), Uuid::from_u128(lane)),
            run_at: DateTime::UNIX_EPOCH,
            parked_until: None,
            is_known: true,
            share,
            tenant_room,
            is_tenant_idle: true,
            turn: 0,
            is_last: false,
        };
        (0..count).rev().map(job).collect()
    }

    fn ids(chosen: &[DueJob]) -> Vec<u128> {
        chosen.iter().map(|job| job.id.as_u128()).collect()
    }

    #[test]
    fn lanes_take_turns_until_there_is_no_room() {
        let picked = [lane(1, 1, 3, 3, None), lane(2, 2, 1, 3, None), lane(2, 3, 3, 3, None)].concat();
        let chosen = choose(picked, 6, None);
        assert_eq!(ids(&chosen), [100, 200, 300, 101, 301, 102]);
        let last: Vec<u128> = chosen.iter().filter(|job| job.is_last).map(|job| job.id.as_u128()).collect();
        assert_eq!(last, [200], "less than was asked for");
    }

    #[test]
    fn a_tenants_limit_holds_over_its_lanes() {
        let picked = [lane(1, 1, 3, 3, Some(2)), lane(1, 2, 3, 3, Some(2)), lane(2, 3, 2, 3, Some(0))].concat();
        assert_eq!(ids(&choose(picked, 10, None)), [100, 200]);
    }

    #[test]
    fn the_last_slots_go_to_tenants_that_run_nothing() {
        let busy = |lanes: Vec<DueJob>| lanes.into_iter().map(|job| DueJob { is_tenant_idle: false, ..job }).collect();
        let picked = |busy: Vec<DueJob>| [busy, lane(2, 2, 3, 9, None), lane(3, 3, 3, 9, None)].concat();
        assert_eq!(ids(&choose(picked(busy(lane(1, 1, 3, 9, None))), 10, Some(0))), [200, 300]);
        assert_eq!(ids(&choose(picked(busy(lane(1, 1, 3, 9, None))), 10, Some(4))), [100, 200, 300, 101]);
        assert_eq!(ids(&choose(picked(busy(lane(1, 1, 3, 9, None))), 10, Some(-2))), [200, 300]);
    }
}
