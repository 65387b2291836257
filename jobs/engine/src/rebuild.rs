//! Rebuilding Redis' window from PostgreSQL.

use anyhow::Context as _;

use super::{Db, Window, dispatch::Released, queues};

/// The result of rebuilding one queue's window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The queue.
    pub queue: String,
    /// The number of ids that were in the window.
    pub removed: usize,
    /// The number of ids that were pushed: those of jobs marked as released.
    pub pushed: usize,
}

/// Empties the windows of all queues and pushes the jobs that are marked as released.
///
/// It is idempotent and may run beside a leader: an id that both push is in the window once.
pub async fn rebuild(db: &Db, window: &Window) -> anyhow::Result<Vec<Rebuilt>> {
    let mut tx = db.system().await?;
    let queues = queues::list(&mut tx).await?;
    tx.commit().await?;
    let mut rebuilt = Vec::new();
    for queue in queues {
        let removed = window.clear(&queue.name).await.context("Redis does not answer")?;
        let jobs = list_dispatched(db, &queue.name).await?;
        for chunk in jobs.chunks(1_000) {
            window.push(&queue.name, chunk).await.context("Redis takes no ids")?;
        }
        rebuilt.push(Rebuilt { queue: queue.name, removed, pushed: jobs.len() });
    }
    window.wake().await;
    Ok(rebuilt)
}

async fn list_dispatched(db: &Db, queue: &str) -> Result<Vec<Released>, sqlx::Error> {
    let mut tx = db.system().await?;
    let rows: Vec<Released> = sqlx::query!(
        r#"
        select id, (extract(epoch from dispatched_at) * 1000000)::bigint as "place!"
        from jobs
        where queue = $1 and state = 'available' and dispatched_at is not null
        order by dispatched_at
        "#,
        queue
    )
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .map(|row| Released { id: row.id, place: row.place })
    .collect();
    tx.commit().await?;
    Ok(rows)
}
