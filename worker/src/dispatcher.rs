//! Competes for the leadership and, while it has it, promotes, releases and rescues.

mod window;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use jobs::engine::{
    self, Tx,
    dispatch::{self, Capacity, Released},
};
use tokio::sync::Notify;

use self::window::QueueWindow;
use crate::process::Process;

/// Renewed every second, taken over within five.
const LEADERSHIP: Duration = Duration::from_secs(4);

/// Looks at everything at least this often.
const TICK: Duration = Duration::from_secs(1);

/// A pass that takes longer is given up: its connection may hang for as long as the kernel lets it.
const LONGEST_PASS: Duration = Duration::from_secs(30);

/// While there is a backlog the next pass follows after this long, growing while nothing moves.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Chunks that are promoted before what is due is released.
const PROMOTIONS: usize = 4;

/// Dispatches until the process stops.
pub(crate) async fn dispatch(process: Arc<Process>) {
    let woken = Arc::new(Notify::new());
    let listener = tokio::spawn(listen(Arc::clone(&process), Arc::clone(&woken)));
    let mut dispatcher = Dispatcher::new(Arc::clone(&process));
    loop {
        let passed = tokio::time::timeout(LONGEST_PASS, dispatcher.pass()).await;
        let pause = match passed.unwrap_or_else(|_| Err(anyhow::anyhow!("the database took too long"))) {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "could not dispatch");
                dispatcher.forget();
                TICK
            }
        };
        tokio::select! {
            () = process.stopping.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
            () = woken.notified() => {}
        }
    }
    listener.abort();
    if let Some(id) = process.identity()
        && let Err(error) = dispatch::step_down(&process.engine.db, id).await
    {
        tracing::debug!(%error, "the leadership ends by itself");
    }
}

/// Turns wake-ups from Redis into notifications, connecting again when that ends.
async fn listen(process: Arc<Process>, woken: Arc<Notify>) {
    loop {
        match process.window.wake_ups().await {
            Ok(wake_ups) => wake_ups.for_each(|()| async { woken.notify_one() }).await,
            Err(error) => tracing::debug!(%error, "no wake-ups: Redis is away"),
        }
        tokio::time::sleep(TICK).await;
    }
}

struct Dispatcher {
    process: Arc<Process>,
    capacity: Capacity,
    windows: BTreeMap<String, QueueWindow>,
    ticked: Option<Instant>,
    answering_since: Option<Instant>,
    pause: Duration,
    passed: Instant,
}

/// What a pass released.
#[derive(Default)]
struct Batch {
    jobs: Vec<(String, Vec<Released>)>,
    /// Jobs that were in the windows before.
    waiting: usize,
}

impl Dispatcher {
    fn new(process: Arc<Process>) -> Self {
        Self {
            process,
            capacity: Capacity::default(),
            windows: BTreeMap::new(),
            ticked: None,
            answering_since: None,
            pause: SHORTEST_PAUSE,
            passed: Instant::now(),
        }
    }

    fn forget(&mut self) {
        self.ticked = None;
        self.answering_since = None;
    }

    /// One pass; answers how long to wait for the next.
    async fn pass(&mut self) -> anyhow::Result<Duration> {
        let process = Arc::clone(&self.process);
        let Some(id) = process.identity() else {
            return Ok(TICK);
        };
        let db = &process.engine.db;
        if self.ticked.is_none_or(|ticked| ticked.elapsed() >= TICK) {
            if !dispatch::lead(db, id, LEADERSHIP).await? {
                self.forget();
                return Ok(TICK);
            }
            self.tick().await?;
        }
        let mut tx = db.system().await?;
        for _ in 0..PROMOTIONS {
            if !dispatch::promote(&mut tx).await? {
                break;
            }
        }
        let batch = self.release(&mut tx).await?;
        let due = dispatch::next_due(&mut tx).await?.unwrap_or(TICK);
        tx.commit().await?;
        for (queue, jobs) in &batch.jobs {
            push(&process, queue, jobs).await;
        }
        Ok(self.pause_after(&batch, due))
    }

    /// A backlog is worked on at once; while it does not move, ever less often.
    fn pause_after(&mut self, batch: &Batch, due: Duration) -> Duration {
        if !batch.jobs.is_empty() {
            self.pause = SHORTEST_PAUSE;
        } else if batch.waiting > 0 {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        } else {
            return due.clamp(SHORTEST_PAUSE, TICK);
        }
        self.pause
    }

    /// What is done once a second.
    async fn tick(&mut self) -> anyhow::Result<()> {
        let (db, lease) = (&self.process.engine.db, self.process.registration.lease);
        let answering_since = *self.answering_since.get_or_insert_with(Instant::now);
        self.ticked = Some(Instant::now());
        self.capacity = dispatch::capacity(db).await?;
        // After the database was away every lease looks expired: give the others time to renew theirs.
        if answering_since.elapsed() > lease {
            let rescued = engine::rescue(db, lease).await?;
            if rescued > 0 {
                tracing::warn!(rescued, "rescued jobs of processes that died");
            }
        }
        dispatch::resume_kinds(db, &self.capacity.kinds).await?;
        for (queue, jobs) in dispatch::list_to_push_again(db).await? {
            push(&self.process, &queue, &jobs).await;
        }
        Ok(())
    }

    /// Fills the window of every queue that live workers take from.
    async fn release(&mut self, tx: &mut Tx) -> Result<Batch, sqlx::Error> {
        let since_last = self.passed.elapsed();
        self.passed = Instant::now();
        let mut batch = Batch::default();
        for queue in dispatch::survey(tx).await? {
            let Some(&slots) = self.capacity.slots.get(&queue.name) else {
                continue;
            };
            let window = self.windows.entry(queue.name.clone()).or_default();
            window.observe(queue.dispatched, since_last);
            batch.waiting += queue.dispatched;
            if queue.is_paused {
                continue;
            }
            let jobs = window.fill(tx, &queue, &self.capacity.kinds, slots).await?;
            window.in_window += jobs.len();
            if !jobs.is_empty() {
                batch.jobs.push((queue.name, jobs));
            }
        }
        Ok(batch)
    }
}

/// A lost push costs two seconds: it is repeated then, and workers look into PostgreSQL themselves.
async fn push(process: &Process, queue: &str, jobs: &[Released]) {
    if let Err(error) = process.window.push(queue, jobs).await {
        tracing::debug!(queue, %error, "Redis takes no ids");
    }
}
