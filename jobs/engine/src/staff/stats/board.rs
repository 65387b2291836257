//! The state of the engine at a glance.

use std::{collections::BTreeMap, time::Duration};

use super::{Alerts, Depths, Trouble, alerts::count_alerts, health::check_queues, queues::count_depths};
use crate::{
    Tx,
    staff::plans::{self, Plans},
};

/// The state of the engine at a glance.
#[derive(Debug, Clone)]
pub struct Board {
    /// Unfinished jobs by queue and state.
    pub depths: Depths,
    /// Counts of what needs an operator.
    pub alerts: Alerts,
    /// The queues whose work is not consumed.
    pub late_queues: Vec<(String, Trouble)>,
    /// The time that the oldest due job of each queue has waited.
    pub oldest_due: BTreeMap<String, Duration>,
}

/// Reads the state of the engine in five statements, however many jobs and queues there are. A queue
/// that stands still takes one more. Needs the system scope.
pub async fn read_board(tx: &mut Tx) -> Result<Board, sqlx::Error> {
    plans::choose(tx, Plans::InOrder).await?;
    let depths = count_depths(tx).await?;
    let alerts = count_alerts(tx).await?;
    let (late_queues, oldest_due) = check_queues(tx).await?;
    Ok(Board { depths, alerts, late_queues, oldest_due })
}
