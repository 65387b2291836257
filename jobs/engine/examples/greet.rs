//! A program with one kind of job, from enqueueing it to its result.
//!
//! `cargo run -p engine --example greet postgres://...`, with its own database.

use std::sync::Arc;

use engine::{Db, Done, Engine, Job, JobContext, JobError, Kind, NewJob, Queue, Retry, drain, ids::TenantId, ledger};
use serde::{Deserialize, Serialize};

/// The services that all jobs of this program share.
struct Services {
    greeting: String,
}

/// A job that greets somebody.
///
/// It is idempotent: the greeting is its result, written in the transaction that completes it.
#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    type Services = Services;

    const KIND: &'static str = "greet";
    const QUEUE: Queue = Queue::new("default");
    const RETRY: Retry = Retry::QUICK;

    async fn run(self, cx: &JobContext<Services>) -> Result<Done, JobError> {
        let words = format!("{}, {}!", cx.services().greeting, self.name);
        // Other writes of the job would go into the same transaction.
        cx.begin().await?.complete(serde_json::json!(words)).await
    }
}

static KINDS: &[Kind<Services>] = &[Kind::of::<Greet>()];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("say which database: postgres://..."))?;
    Db::migrate(&url).await?;
    let services = Services { greeting: "Hello".to_owned() };
    let engine = Engine { db: Db::connect(&url, 5, None).await?, services: Arc::new(services), kinds: KINDS };

    let mut tx = engine.db.system().await?;
    let greet = Greet { name: "world".to_owned() };
    let job = tx.enqueue(NewJob::new(TenantId::SYSTEM, &greet)).await?;
    tx.commit().await?;

    // A worker does this continuously: see the crate `worker`.
    drain(&engine).await?;

    let mut tx = engine.db.system().await?;
    let ended = ledger::get_job(&mut tx, job.id).await?.ok_or_else(|| anyhow::anyhow!("it is kept for days"))?;
    println!("{}: {}", ended.state, ended.result.unwrap_or_default());
    Ok(())
}
