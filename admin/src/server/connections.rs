//! The open connections of each client. If there are too many, it closes the one that waited
//! longest.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::socket::Activity;
use crate::{auth::Client, config::ConnectionConfig};

/// The longest time between two looks at a connection.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The connections of this process. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: ConnectionConfig,
    /// True if their addresses are those of clients, not of proxies.
    is_by_client: bool,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last_id: u64,
    connections: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    client: String,
    activity: Arc<Activity>,
    closing: CancellationToken,
}

impl Open {
    /// Makes room for one more connection, of all or of one client. Closes the one that has waited
    /// longest for its peer. Returns true if there is room.
    fn make_room(&mut self, limit: u32, of: Option<&str>) -> bool {
        let counted = |entry: &&Entry| of.is_none_or(|client| entry.client == client);
        let count = self.connections.values().filter(counted).count();
        if count < limit as usize {
            return true;
        }
        let waiting = self.connections.iter().filter(|(_, entry)| counted(entry));
        let waiting = waiting.filter_map(|(id, entry)| Some((entry.activity.waits_since()?, *id)));
        let Some((_, longest)) = waiting.min() else {
            return false;
        };
        if let Some(entry) = self.connections.remove(&longest) {
            entry.closing.cancel();
        }
        true
    }
}

impl Connections {
    pub(super) fn new(limits: ConnectionConfig, is_behind_proxies: bool) -> Self {
        Self { shared: Arc::new(Shared { limits, is_by_client: !is_behind_proxies, open: Mutex::default() }) }
    }

    /// Counts a connection. Returns `None` if there is no room and no connection waits for its
    /// peer.
    pub(super) fn open(&self, peer: IpAddr) -> Option<Connection> {
        let client = Client::from(peer).counted_as();
        let limits = &self.shared.limits;
        let mut open = self.shared.open();
        if (self.shared.is_by_client && !open.make_room(limits.per_client, Some(&client)))
            || !open.make_room(limits.total, None)
        {
            return None;
        }
        let activity = Arc::new(Activity::new(limits));
        let closing = CancellationToken::new();
        open.last_id += 1;
        let id = open.last_id;
        let entry = Entry { client, activity: Arc::clone(&activity), closing: closing.clone() };
        open.connections.insert(id, entry);
        Some(Connection { shared: Arc::clone(&self.shared), id, activity, closing })
    }

    /// Closes all connections.
    pub(super) fn close_all(&self) {
        for entry in self.shared.open().connections.values() {
            entry.closing.cancel();
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    id: u64,
    activity: Arc<Activity>,
    closing: CancellationToken,
}

impl Connection {
    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// Waits until the connection is to be cut, because its time is over or another one needs its
    /// place.
    pub(super) async fn given_up(&self) {
        let overdue = async {
            loop {
                let now = Instant::now();
                let wait = match self.activity.ends_at() {
                    Some(end) if end <= now => return,
                    Some(end) => (end - now).min(LONGEST_LOOK),
                    None => LONGEST_LOOK,
                };
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = overdue => {}
            () = self.closing.cancelled() => {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.open().connections.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn connections(total: u32, per_client: u32, is_behind_proxies: bool) -> Connections {
        let limits = ConnectionConfig { total, per_client, ..ConnectionConfig::default() };
        Connections::new(limits, is_behind_proxies)
    }

    #[tokio::test]
    async fn a_further_connection_takes_the_place_of_the_one_that_waits_longest() {
        let open = connections(10, 2, false);
        let (first, second) = (open.open(ONE).unwrap(), open.open(ONE).unwrap());
        let running = first.activity().begin_request();
        let third = open.open(ONE).unwrap();
        second.given_up().await;
        assert!(!first.closing.is_cancelled() && !third.closing.is_cancelled());
        let _running = third.activity().begin_request();
        assert!(open.open(ONE).is_none(), "both are at work");
        assert!(open.open("203.0.113.9".parse().unwrap()).is_some(), "another client has its own");
        drop(running);
        assert!(open.open(ONE).is_some());
    }

    #[test]
    fn behind_proxies_all_connections_are_counted_together() {
        let open = connections(3, 1, true);
        let held: Vec<_> = (0..3).map(|_| open.open(ONE).unwrap()).collect();
        assert!(open.open(ONE).is_some_and(|_| held[0].closing.is_cancelled()));
    }
}
