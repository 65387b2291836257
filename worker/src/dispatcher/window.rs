//! The window of one queue: how far it is filled, and in which order of priorities.

use std::{collections::BTreeMap, time::Duration};

use jobs::engine::{
    Tx,
    dispatch::{self, Cursor, Order, QueueState, Released},
};

/// The size of the window, as the time in which workers drain it.
const WINDOW_SECONDS: f64 = 0.25;

/// One of this many slots goes to the lowest priority.
const LOWEST_SHARE: usize = 10;

/// The state of a queue that the dispatcher keeps between passes.
#[derive(Default)]
pub(super) struct QueueWindow {
    cursors: BTreeMap<i16, Cursor>,
    /// The number of jobs in the window.
    pub(super) size: usize,
    /// The number of jobs that leave the window in a second, smoothed.
    rate: f64,
    /// The number of slots given to others since the lowest priority had one.
    since_lowest: usize,
}

impl QueueWindow {
    pub(super) fn observe(&mut self, size: usize, since: Duration) {
        let drained = self.size.saturating_sub(size);
        #[expect(clippy::cast_precision_loss, reason = "a window holds some thousands")]
        let rate = drained as f64 / since.as_secs_f64().max(0.001);
        self.rate = self.rate * 0.7 + rate * 0.3;
        self.size = size;
    }

    /// Releases as many jobs as there is room for. The highest priority comes first, but every
    /// tenth slot goes to the lowest.
    pub(super) async fn fill(
        &mut self,
        tx: &mut Tx,
        queue: &QueueState,
        kinds: &[String],
        slots: usize,
        is_marked: bool,
    ) -> Result<Vec<Released>, sqlx::Error> {
        let limits = if queue.shares_slots { queue.limits.sharing(slots) } else { queue.limits };
        let mut released: Vec<Released> = Vec::new();
        for (priority, most) in self.shares(queue, slots) {
            // The next priority gets the slots that a higher one left.
            let room = most.saturating_sub(released.len());
            let at_once = queue.at_once;
            let order = Order { queue: &queue.name, priority, kinds, limits, room, at_once, is_marked };
            if room > 0 {
                let cursor = self.cursors.entry(priority).or_default();
                released.extend(dispatch::release(tx, &order, cursor).await?);
            }
        }
        self.size += released.len();
        Ok(released)
    }

    /// Returns the priorities in order, each with the number of jobs that may be released by the
    /// end of its turn.
    fn shares(&mut self, queue: &QueueState, slots: usize) -> Vec<(i16, usize)> {
        let room = self.room(queue, slots);
        let Some((&lowest, higher)) = queue.waiting.split_last() else {
            return Vec::new();
        };
        if higher.is_empty() {
            return vec![(lowest, room)];
        }
        self.since_lowest += room;
        let reserved = self.since_lowest / LOWEST_SHARE;
        self.since_lowest %= LOWEST_SHARE;
        let others = higher.iter().map(|&priority| (priority, room - reserved.min(room)));
        others.chain([(lowest, room)]).collect()
    }

    fn room(&self, queue: &QueueState, slots: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded right here")]
        let drains = (self.rate * WINDOW_SECONDS).clamp(1.0, 5_000.0) as usize;
        let free = slots.saturating_sub(queue.executing.saturating_sub(queue.alone));
        // What waited in the window for a slot would stand before the next tenant's.
        let target = if queue.shares_slots { free } else { free.max(drains) };
        let room = target.saturating_sub(self.size);
        // A window that is more than half full can wait: few large batches cost less than many
        // small ones.
        if self.size > target / 2 {
            return 0;
        }
        let Some(most) = queue.limits.max_running.and_then(|most| usize::try_from(most).ok()) else {
            return room;
        };
        room.min(most.saturating_sub(queue.executing + queue.marked))
    }
}

#[cfg(test)]
mod tests {
    use jobs::engine::dispatch::QueueLimits;

    use super::*;

    fn queue(waiting: &[i16]) -> QueueState {
        QueueState {
            name: "default".to_owned(),
            is_paused: false,
            limits: QueueLimits::default(),
            shares_slots: false,
            at_once: None,
            marked: 0,
            executing: 0,
            alone: 0,
            waiting: waiting.to_vec(),
        }
    }

    #[test]
    fn every_tenth_slot_goes_to_the_lowest_priority() {
        let mut window = QueueWindow::default();
        assert_eq!(window.shares(&queue(&[1, 3]), 40), [(1, 36), (3, 40)]);
        assert_eq!(window.shares(&queue(&[2]), 40), [(2, 40)]);
        let lowest: usize = (0..20).map(|_| 1 - window.shares(&queue(&[1, 2]), 1)[0].1).sum();
        assert_eq!(lowest, 2, "also where there is room for one at a time");
    }

    #[test]
    fn a_limit_counts_what_runs_and_what_is_about_to() {
        let mut window = QueueWindow::default();
        let limits = QueueLimits { max_running: Some(10), ..QueueLimits::default() };
        let busy = QueueState { limits, executing: 4, marked: 3, ..queue(&[2]) };
        assert_eq!(window.shares(&busy, 40), [(2, 3)]);
    }

    #[test]
    fn running_jobs_leave_that_much_less_room() {
        let mut window = QueueWindow::default();
        assert_eq!(window.shares(&QueueState { executing: 30, ..queue(&[2]) }, 40), [(2, 10)]);
        let some_alone = QueueState { executing: 30, alone: 20, ..queue(&[2]) };
        assert_eq!(window.shares(&some_alone, 40), [(2, 30)], "what runs alone takes no slot");
    }
}
