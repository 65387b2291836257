//! The socket of a connection, and its activity.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use crate::config::ConnectionConfig;

/// The bytes a second below which a reader uses up its time.
const SLOWEST_READER_BYTES: u32 = 4 * 1024;

/// The activity of a connection. Only the time in which it waits for its peer counts; the
/// application has its own time limits.
#[derive(Debug)]
pub(super) struct Activity {
    limits: ConnectionConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The time since which it is in this phase, or since it last read.
    since: Instant,
    /// The time since which nobody reads the response.
    stalled_since: Option<Instant>,
    /// The time that is left for that.
    patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    New,
    /// The next request has not begun.
    Idle,
    /// A head has begun.
    Head,
    /// A request runs, or its response is sent.
    Running,
}

impl Activity {
    pub(super) fn new(limits: &ConnectionConfig) -> Self {
        let state =
            State { phase: Phase::New, since: Instant::now(), stalled_since: None, patience: limits.stall_time };
        Self { limits: *limits, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the head of a request is whole.
    pub(super) fn begin_request(self: &Arc<Self>) -> RunningRequest {
        self.enter(Phase::Running, Instant::now());
        RunningRequest(Arc::clone(self))
    }

    fn enter(&self, phase: Phase, now: Instant) {
        let mut state = self.state();
        state.phase = phase;
        state.since = now;
    }

    /// Returns the time since which it waits for its peer, if it does.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        let waits = (state.phase != Phase::Running).then_some(state.since);
        state.stalled_since.or(waits)
    }

    /// Returns the time at which it has waited long enough.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let state = self.state();
        let stalled = state.stalled_since.map(|since| since + state.patience);
        let waited = match state.phase {
            Phase::New | Phase::Head => Some(state.since + self.limits.head_time),
            Phase::Idle => Some(state.since + self.limits.idle_time),
            Phase::Running => None,
        };
        // A client that still reads the last response is not idle.
        stalled.or(waited)
    }

    fn has_read(&self, now: Instant) {
        let mut state = self.state();
        if matches!(state.phase, Phase::New | Phase::Idle) {
            state.phase = Phase::Head;
            state.since = now;
        }
    }

    fn has_written(&self, written: &Poll<io::Result<usize>>, now: Instant) {
        let mut state = self.state();
        match written {
            Poll::Pending => {
                state.stalled_since.get_or_insert(now);
            }
            Poll::Ready(Ok(count)) => {
                let stalled = state.stalled_since.take().map(|since| now - since).unwrap_or_default();
                let count = u32::try_from(*count).unwrap_or(u32::MAX);
                let earned = Duration::from_secs(1) * count / SLOWEST_READER_BYTES;
                let left = state.patience.saturating_sub(stalled) + earned;
                state.patience = left.min(self.limits.stall_time);
                if state.phase == Phase::Idle {
                    state.since = now;
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }
}

/// A request whose response is not complete yet.
#[derive(Debug)]
pub(super) struct RunningRequest(Arc<Activity>);

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle, Instant::now());
    }
}

/// A socket that notes what is read and written.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.has_read(Instant::now());
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.activity.has_written(&written, Instant::now());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.activity.has_written(&written, Instant::now());
        written
    }

    /// Responses that clients share are written without a copy.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity() -> Arc<Activity> {
        Arc::new(Activity::new(&ConnectionConfig::default()))
    }

    #[test]
    fn a_head_has_less_time_than_an_idle_connection() {
        let (activity, limits) = (activity(), ConnectionConfig::default());
        let now = activity.state().since;
        assert_eq!(activity.ends_at(), Some(now + limits.head_time), "one that says nothing");
        activity.enter(Phase::Idle, now);
        assert_eq!(activity.ends_at(), Some(now + limits.idle_time));
        let later = now + Duration::from_secs(30);
        activity.has_read(later);
        activity.has_read(later + Duration::from_secs(1));
        assert_eq!(activity.ends_at(), Some(later + limits.head_time), "from its first byte");
        activity.enter(Phase::Running, later);
        assert_eq!((activity.ends_at(), activity.waits_since()), (None, None));
    }

    #[test]
    fn who_reads_slowly_uses_up_the_time() {
        let (activity, limits) = (activity(), ConnectionConfig::default());
        activity.enter(Phase::Running, Instant::now());
        let mut now = Instant::now();
        for _ in 0..19 {
            activity.has_written(&Poll::Pending, now);
            assert!(activity.ends_at().is_some_and(|end| end > now));
            now += Duration::from_secs(1);
            activity.has_written(&Poll::Ready(Ok(1)), now);
        }
        activity.has_written(&Poll::Pending, now);
        assert!(activity.ends_at().is_some_and(|end| end < now + Duration::from_secs(2)));
        // A fast reader gets the time back.
        activity.has_written(&Poll::Ready(Ok(1024 * 1024)), now);
        activity.has_written(&Poll::Pending, now);
        assert_eq!(activity.ends_at(), Some(now + limits.stall_time));
    }
}
