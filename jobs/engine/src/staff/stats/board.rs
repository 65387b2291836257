//! The state of the engine at a glance.

use super::{Alerts, Depths, Trouble, count_alerts, depths, find_troubles, list_workers};
use crate::Tx;

/// The state of the engine at a glance.
#[derive(Debug, Clone)]
pub struct Board {
    /// Unfinished jobs by queue and state.
    pub depths: Depths,
    /// Counts of what needs an operator.
    pub alerts: Alerts,
    /// The queues whose work is not consumed.
    pub late_queues: Vec<(String, Trouble)>,
    /// The number of live workers.
    pub live_workers: usize,
}

/// Reads the state of the engine. Its cost does not grow with the number of jobs. Needs the system
/// scope.
pub async fn read_board(tx: &mut Tx) -> Result<Board, sqlx::Error> {
    let depths = depths(tx).await?;
    let alerts = count_alerts(tx).await?;
    let late_queues = find_troubles(tx).await?;
    let live_workers = list_workers(tx).await?.iter().filter(|worker| worker.is_alive).count();
    Ok(Board { depths, alerts, late_queues, live_workers })
}
