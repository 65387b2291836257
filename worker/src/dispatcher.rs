//! Competes for the leadership. The leader promotes, releases and rescues jobs.

mod window;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jobs::{
    engine::{
        self, Db, Tx,
        clock::{DatabaseClock, Disturbance},
        dispatch::{self, Capacity, Released},
        periodic,
    },
    kinds::PERIODIC,
};

use self::window::QueueWindow;
use crate::process::Process;

/// The life of the leadership: renewed every second, and taken over within five.
const LEADERSHIP: Duration = Duration::from_secs(4);

/// The longest time between two passes.
const TICK: Duration = Duration::from_secs(1);

/// The time limit of a pass. Its connection may hang for as long as the kernel lets it.
const LONGEST_PASS: Duration = Duration::from_secs(30);

/// The pause between passes during a backlog; it grows while no job moves.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The time after which ids in the window are marked in PostgreSQL too.
const OVERDUE_MICROSECONDS: i64 = 2_000_000;

/// The pause after Redis failed, because each attempt may take as long as the connection's timeout.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

/// The number of chunks that are promoted before due jobs are released.
const PROMOTIONS: usize = 4;

/// Dispatches until the process stops.
pub(crate) async fn dispatch(process: Arc<Process>) {
    let mut dispatcher = Dispatcher::new(Arc::clone(&process));
    loop {
        let pause = match tokio::time::timeout(LONGEST_PASS, dispatcher.pass()).await {
            Ok(Ok(pause)) => pause,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not dispatch");
                dispatcher.forget();
                TICK
            }
            Err(_) => {
                tracing::warn!("could not dispatch: the database took too long");
                dispatcher.db = process.engine.db.own_connection();
                dispatcher.forget();
                TICK
            }
        };
        tokio::select! {
            () = process.stopping.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
            () = process.woken.notified() => {}
        }
    }
    if let Some(id) = process.identity()
        && let Err(error) = dispatch::step_down(&process.engine.db, id).await
    {
        tracing::debug!(%error, "the leadership ends by itself");
    }
}

struct Dispatcher {
    process: Arc<Process>,
    /// A separate connection, which waits for no job and keeps its prepared statements.
    db: Db,
    capacity: Capacity,
    windows: BTreeMap<String, QueueWindow>,
    ticked: Option<Instant>,
    /// True if due jobs were promoted since the last tick.
    has_promoted: bool,
    clock: DatabaseClock,
    answering_since: Option<Instant>,
    pause: Duration,
    passed: Instant,
    /// The time at which Redis is asked again; until then it counts as down.
    redis_back: Instant,
}

/// The jobs that a pass released.
#[derive(Default)]
struct Batch {
    queues: Vec<QueueBatch>,
    /// The number of jobs that were in the windows before.
    waiting: usize,
    /// True if work waits for a running job to end, which wakes nobody.
    is_held_back: bool,
}

struct QueueBatch {
    queue: String,
    jobs: Vec<Released>,
    is_marked: bool,
}

impl Dispatcher {
    fn new(process: Arc<Process>) -> Self {
        // A lease is renewed while two thirds of it are left: a smaller step ends none.
        let clock = DatabaseClock::new(process.registration.lease / 4);
        Self {
            db: process.engine.db.own_connection(),
            process,
            capacity: Capacity::default(),
            windows: BTreeMap::new(),
            ticked: None,
            has_promoted: false,
            clock,
            answering_since: None,
            pause: SHORTEST_PAUSE,
            passed: Instant::now(),
            redis_back: Instant::now(),
        }
    }

    fn forget(&mut self) {
        self.ticked = None;
        self.has_promoted = false;
        self.answering_since = None;
    }

    /// Runs one pass, and returns the pause before the next.
    async fn pass(&mut self) -> anyhow::Result<Duration> {
        let process = Arc::clone(&self.process);
        let Some(id) = process.identity() else {
            return Ok(TICK);
        };
        let db = self.db.clone();
        let ticks = self.ticked.is_none_or(|ticked| ticked.elapsed() >= TICK);
        if ticks {
            let has_promoted = std::mem::take(&mut self.has_promoted);
            let (leads, reading) = dispatch::lead(&db, id, LEADERSHIP, has_promoted).await?;
            let disturbance = self.clock.observe(reading);
            if !leads {
                self.forget();
                return Ok(TICK);
            }
            if let Some(disturbance) = disturbance {
                self.wait_for_renewals(disturbance).await?;
            }
            // It runs now, while the leadership is fresh: no other process may run another version
            // of the periodic jobs.
            periodic::tick(&db, PERIODIC, self.ticked.is_none()).await?;
            self.ticked = Some(Instant::now());
            self.capacity = dispatch::capacity(&db).await?;
        }
        let released = self.fill_windows().await;
        // It runs after the release, which does not depend on it, and even if the release failed.
        if ticks && self.tidy().await? {
            released?;
            return Ok(SHORTEST_PAUSE);
        }
        let (batch, due) = released?;
        Ok(self.pause_after(&batch, due))
    }

    /// Makes the rescue wait for one lease. After a step of the clock or a restart of the database
    /// every lease looks expired.
    async fn wait_for_renewals(&mut self, disturbance: Disturbance) -> Result<(), sqlx::Error> {
        tracing::warn!(?disturbance, "the database's clock or server is another: rescues wait for one lease");
        self.answering_since = None;
        match disturbance {
            Disturbance::Stepped(_) => dispatch::end_rests(&self.db).await,
            Disturbance::Restarted => Ok(()),
        }
    }

    /// Promotes and releases jobs. Returns them, and the time until the next job is due.
    async fn fill_windows(&mut self) -> anyhow::Result<(Batch, Duration)> {
        // Redis may be slow, so it is asked before the transaction, which locks rows.
        let sizes = self.sizes().await;
        let mut tx = dispatch::begin(&self.db.clone()).await?;
        for _ in 0..PROMOTIONS {
            if !dispatch::promote(&mut tx).await? {
                break;
            }
        }
        let batch = self.release(&mut tx, sizes.as_ref()).await?;
        let due = dispatch::next_due(&mut tx).await?.unwrap_or(TICK);
        tx.commit().await?;
        self.has_promoted = true;
        self.push(&batch.queues).await?;
        Ok((batch, due))
    }

    /// Returns the pause: the shortest one after a release, growing while a backlog does not move.
    fn pause_after(&mut self, batch: &Batch, due: Duration) -> Duration {
        if !batch.queues.is_empty() {
            self.pause = SHORTEST_PAUSE;
        } else if batch.waiting > 0 || batch.is_held_back {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        } else {
            return due.clamp(SHORTEST_PAUSE, TICK);
        }
        self.pause
    }

    /// Does the work of every second. Returns true if it may have made jobs due.
    async fn tidy(&mut self) -> anyhow::Result<bool> {
        let (db, lease) = (&self.db.clone(), self.process.registration.lease);
        let answering_since = *self.answering_since.get_or_insert_with(Instant::now);
        let mut rescued = 0;
        // After an outage of the database every lease looks expired, so the others first get time
        // to renew theirs.
        if answering_since.elapsed() > lease
            && let Some(now) = self.clock.expected(Instant::now())
        {
            rescued = engine::rescue(db, now).await?;
            if rescued > 0 {
                tracing::warn!(rescued, "rescued jobs of processes that died");
            }
        }
        let resumed = dispatch::resume_kinds(db, &self.capacity.kinds).await?;
        dispatch::forget_rests(db).await?;
        let marked = dispatch::list_to_push_again(db).await?;
        let marked = marked.into_iter().map(|(queue, jobs)| QueueBatch { queue, jobs, is_marked: true });
        self.push(&marked.collect::<Vec<_>>()).await?;
        self.mark_overdue().await?;
        Ok(rescued + resumed > 0)
    }

    /// Marks ids that nobody pops in PostgreSQL, for workers that cannot reach Redis.
    async fn mark_overdue(&mut self) -> anyhow::Result<()> {
        if self.redis_back > Instant::now() {
            return Ok(());
        }
        let db = self.db.clone();
        let mut tx = db.system().await?;
        let overdue = dispatch::place(&mut tx).await? - OVERDUE_MICROSECONDS;
        tx.commit().await?;
        let queues: Vec<String> = self.capacity.slots.keys().cloned().collect();
        // One round trip for all queues. If Redis is slow, one for each would leave no time to
        // release anything.
        match self.process.window.list_before(&queues, overdue).await {
            Ok(ids) if ids.is_empty() => Ok(()),
            Ok(ids) => {
                let mut tx = db.system().await?;
                dispatch::mark(&mut tx, &ids).await?;
                Ok(tx.commit().await?)
            }
            Err(error) => {
                self.redis_back = away("all", &error);
                Ok(())
            }
        }
    }

    /// Pushes released jobs to Redis. Jobs that Redis does not take are marked in PostgreSQL, where
    /// workers claim them without Redis.
    async fn push(&mut self, batch: &[QueueBatch]) -> anyhow::Result<()> {
        let mut untold = Vec::new();
        for QueueBatch { queue, jobs, is_marked } in batch {
            if self.redis_back <= Instant::now() {
                match self.process.window.push(queue, jobs).await {
                    Ok(()) => continue,
                    Err(error) => self.redis_back = away(queue, &error),
                }
            }
            if !is_marked {
                untold.extend(jobs.iter().map(|job| job.id));
            }
        }
        if !untold.is_empty() {
            let mut tx = self.db.system().await?;
            dispatch::mark(&mut tx, &untold).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Returns the number of ids in the windows, or `None` while Redis is down.
    async fn sizes(&mut self) -> Option<BTreeMap<String, usize>> {
        if self.redis_back > Instant::now() {
            return None;
        }
        let queues: Vec<String> = self.capacity.slots.keys().cloned().collect();
        match self.process.window.sizes(&queues).await {
            Ok(sizes) => Some(queues.into_iter().zip(sizes).collect()),
            Err(error) => {
                self.redis_back = away("all", &error);
                None
            }
        }
    }

    /// Fills the window of every queue that live workers take jobs from.
    async fn release(&mut self, tx: &mut Tx, sizes: Option<&BTreeMap<String, usize>>) -> Result<Batch, sqlx::Error> {
        let since_last = self.passed.elapsed();
        self.passed = Instant::now();
        let mut batch = Batch::default();
        for queue in dispatch::survey(tx).await? {
            let Some(&slots) = self.capacity.slots.get(&queue.name) else {
                continue;
            };
            let window = self.windows.entry(queue.name.clone()).or_default();
            let size = sizes.and_then(|sizes| sizes.get(&queue.name)).copied().unwrap_or(0);
            window.observe(size.max(queue.marked), since_last);
            batch.waiting += window.size;
            if queue.is_paused {
                continue;
            }
            let has_limits = queue.limits.are_set() || queue.shares_slots;
            let is_marked = sizes.is_none() || has_limits;
            let jobs = window.fill(tx, &queue, &self.capacity.kinds, slots, is_marked).await?;
            if jobs.is_empty() {
                batch.is_held_back |= has_limits && !queue.waiting.is_empty() && queue.executing + queue.marked > 0;
            } else {
                batch.queues.push(QueueBatch { queue: queue.name, jobs, is_marked });
            }
        }
        Ok(batch)
    }
}

/// Returns the time at which Redis is asked again after a failure.
fn away(queue: &str, error: &impl std::error::Error) -> Instant {
    tracing::debug!(queue, %error, "Redis is away");
    Instant::now() + REDIS_PATIENCE
}
