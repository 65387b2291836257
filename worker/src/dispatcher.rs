//! Competes for the leadership and, while it has it, promotes, releases and rescues.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use jobs::engine::{
    self,
    dispatch::{self, Capacity, Cursor},
};
use tokio::sync::Notify;

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

/// The window holds what drains in this time.
const WINDOW_SECONDS: f64 = 0.25;

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

/// A queue as the dispatcher sees it.
#[derive(Default)]
struct QueueWindow {
    cursor: Cursor,
    /// Jobs in the window after the last pass.
    in_window: usize,
    /// Jobs that leave the window a second, smoothed.
    rate: f64,
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
        for _ in 0..PROMOTIONS {
            if !dispatch::promote(db).await? {
                break;
            }
        }
        let (released, waiting) = self.release().await?;
        if released > 0 {
            self.pause = SHORTEST_PAUSE;
            return Ok(self.pause);
        }
        if waiting > 0 {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            return Ok(self.pause);
        }
        let due = dispatch::next_due(db).await?.unwrap_or(TICK);
        Ok(due.clamp(SHORTEST_PAUSE, TICK))
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
        for (queue, jobs) in dispatch::list_to_push_again(db).await? {
            push(&self.process, &queue, &jobs).await;
        }
        Ok(())
    }

    /// Fills the window of every queue that live workers take from; answers how many jobs were released and how many wait in
    /// the windows.
    async fn release(&mut self) -> anyhow::Result<(usize, usize)> {
        let db = &self.process.engine.db;
        let dispatched = dispatch::count_dispatched(db).await?;
        let since_last = self.passed.elapsed();
        self.passed = Instant::now();
        let (mut released, mut waiting) = (0, 0);
        for (queue, &slots) in &self.capacity.slots {
            let window = self.windows.entry(queue.clone()).or_default();
            let in_window = dispatched.get(queue).copied().unwrap_or(0);
            window.observe(in_window, since_last);
            let room = window.target(slots).saturating_sub(in_window);
            if room == 0 {
                waiting += in_window;
                continue;
            }
            let kinds = &self.capacity.kinds;
            let mut jobs = dispatch::release(db, queue, kinds, room, &mut window.cursor).await?;
            if jobs.is_empty() {
                // The cursor may have stood behind the last tenant with work.
                jobs = dispatch::release(db, queue, kinds, room, &mut window.cursor).await?;
            }
            window.in_window = in_window + jobs.len();
            released += jobs.len();
            waiting += in_window;
            push(&self.process, queue, &jobs).await;
        }
        Ok((released, waiting))
    }
}

/// A lost push costs two seconds: it is repeated then, and workers look into PostgreSQL themselves.
async fn push(process: &Process, queue: &str, jobs: &[dispatch::Released]) {
    if let Err(error) = process.window.push(queue, jobs).await {
        tracing::debug!(queue, %error, "Redis takes no ids");
    }
}

impl QueueWindow {
    fn observe(&mut self, in_window: usize, since: Duration) {
        let drained = self.in_window.saturating_sub(in_window);
        #[expect(clippy::cast_precision_loss, reason = "a window holds some thousands")]
        let rate = drained as f64 / since.as_secs_f64().max(0.001);
        self.rate = self.rate * 0.7 + rate * 0.3;
        self.in_window = in_window;
    }

    fn target(&self, slots: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded right here")]
        let drains = (self.rate * WINDOW_SECONDS).clamp(0.0, 5_000.0) as usize;
        slots.max(drains)
    }
}
