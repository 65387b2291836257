//! Failpoints: named points of the life of a job or a request, at which tests kill or stop this
//! process.
//!
//! Without the feature `testing` they do nothing. With it, `LINECOOK_FAILPOINTS` lists points and
//! signals. For example, `sent:kill,claimed:stop@3` kills the process when it first passes `sent`,
//! and stops it (`SIGSTOP`) when it passes `claimed` for the third time.

/// A point of a job's life, or of a request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// Due jobs were made available; that is not committed yet.
    Promoted,
    /// Jobs were chosen for release and promotions are committed; the ids are not in Redis yet.
    Released,
    /// Ids were taken from Redis; their jobs are not claimed yet.
    Popped,
    /// The claim is committed; the runtime does not have the job yet.
    Claimed,
    /// The job begins to run.
    Started,
    /// A call of an effect is written down but not committed.
    BeforeSent,
    /// `sent` is committed; no byte of the call has left.
    Sent,
    /// The call has returned; its outcome is not recorded yet.
    Answered,
    /// The job's writes and its end are written but not committed.
    BeforeRecord,
    /// The writes and the end are committed; the attempt is still active in the process.
    Recorded,
    /// A batch of jobs without writes has ended; their end is not written yet.
    BeforeSettle,
    /// The end of the batch is committed.
    Settled,
    /// The verdict on an attempt that did not complete its job is written but not committed.
    BeforeVerdict,
    /// A tick of the clock was seen and is not taken yet: before the life of its job.
    BeforeTick,
    /// The rows and the response of a request are written but not committed.
    BeforeCommit,
    /// The rows and the response of a request are committed; the client has no response yet.
    Committed,
}

impl Failpoint {
    /// All points: those of a job in the order of its life, then those of a request.
    pub const ALL: [Self; 16] = [
        Self::Promoted,
        Self::Released,
        Self::Popped,
        Self::Claimed,
        Self::Started,
        Self::BeforeSent,
        Self::Sent,
        Self::Answered,
        Self::BeforeRecord,
        Self::Recorded,
        Self::BeforeSettle,
        Self::Settled,
        Self::BeforeVerdict,
        Self::BeforeTick,
        Self::BeforeCommit,
        Self::Committed,
    ];

    /// Returns its name in `LINECOOK_FAILPOINTS`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Released => "released",
            Self::Popped => "popped",
            Self::Claimed => "claimed",
            Self::Started => "started",
            Self::BeforeSent => "before_sent",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::BeforeRecord => "before_record",
            Self::Recorded => "recorded",
            Self::BeforeSettle => "before_settle",
            Self::Settled => "settled",
            Self::BeforeVerdict => "before_verdict",
            Self::BeforeTick => "before_tick",
            Self::BeforeCommit => "before_commit",
            Self::Committed => "committed",
        }
    }
}

/// Passes a point.
#[cfg(not(feature = "testing"))]
#[inline]
pub const fn reach(_failpoint: Failpoint) {}

#[cfg(feature = "testing")]
pub use planned::reach;

#[cfg(feature = "testing")]
mod planned {
    use std::{
        sync::{
            LazyLock,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    use rustix::process::{Signal, getpid, kill_process};

    use super::Failpoint;

    static PLAN: LazyLock<Vec<Planned>> = LazyLock::new(|| {
        // A process that runs one job alone would die of the plan again and again, and the job
        // would be discarded.
        if std::env::args().any(|argument| argument == "--isolated") {
            return Vec::new();
        }
        #[expect(clippy::disallowed_methods, reason = "no setting of a release: there is no such feature in one")]
        let plan = std::env::var("LINECOOK_FAILPOINTS").unwrap_or_default();
        parse(&plan).unwrap_or_else(|| panic!("LINECOOK_FAILPOINTS should look like sent:kill,claimed:stop@3: {plan}"))
    });

    struct Planned {
        failpoint: Failpoint,
        signal: Signal,
        /// The number of passes until the signal, which comes with the last one.
        passes: AtomicU32,
    }

    /// Passes a point. The process may be killed here, or stop until it is continued.
    ///
    /// # Panics
    /// If `LINECOOK_FAILPOINTS` is malformed.
    pub fn reach(failpoint: Failpoint) {
        for planned in PLAN.iter().filter(|planned| planned.failpoint == failpoint) {
            let less = |passes: u32| passes.checked_sub(1);
            if planned.passes.try_update(Ordering::Relaxed, Ordering::Relaxed, less) == Ok(1) {
                kill_process(getpid(), planned.signal).expect("a process may signal itself");
                // Another thread may take the signal first. This thread waits until it takes
                // effect.
                #[expect(clippy::disallowed_methods, reason = "nothing else is to run here either")]
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    fn parse(plan: &str) -> Option<Vec<Planned>> {
        plan.split(',').filter(|planned| !planned.is_empty()).map(parse_one).collect()
    }

    fn parse_one(planned: &str) -> Option<Planned> {
        let (name, what) = planned.split_once(':')?;
        let failpoint = Failpoint::ALL.into_iter().find(|failpoint| failpoint.name() == name)?;
        let (what, passes) = what.split_once('@').unwrap_or((what, "1"));
        let signal = match what {
            "kill" => Signal::KILL,
            "stop" => Signal::STOP,
            _ => return None,
        };
        Some(Planned { failpoint, signal, passes: AtomicU32::new(passes.parse().ok().filter(|&passes| passes > 0)?) })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_plan_names_points_signals_and_passes() {
            let plan = parse("sent:kill,claimed:stop@3").unwrap();
            let read: Vec<(Failpoint, Signal, u32)> =
                plan.iter().map(|p| (p.failpoint, p.signal, p.passes.load(Ordering::Relaxed))).collect();
            assert_eq!(read, [(Failpoint::Sent, Signal::KILL, 1), (Failpoint::Claimed, Signal::STOP, 3)]);
            assert!(parse("").unwrap().is_empty());
        }

        #[test]
        fn a_malformed_plan_is_refused() {
            for plan in ["sent", "nowhere:kill", "sent:hug", "sent:kill@0", "sent:kill@x"] {
                assert!(parse(plan).is_none(), "{plan}");
            }
        }
    }
}
