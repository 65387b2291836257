//! `admin rebuild-queue`: the windows in Redis.

use jobs::{
    audit::{self, Actor, Entry},
    config::{EngineConfig, KeyringConfig},
    engine::rebuild,
    ids::TenantId,
};
use serde_json::json;

/// The windows, and the keys that sign the audit log.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(flatten)]
    engine: EngineConfig,
    #[command(flatten)]
    keys: KeyringConfig,
}

/// Empties the windows, pushes the jobs that the ledger has as dispatched, and prints the counts.
pub(crate) async fn run(Config { engine, keys }: Config) -> anyhow::Result<()> {
    let keyring = keys.keyring()?;
    let window = engine.window()?;
    let db = engine.connect(window.clone()).await?;
    let rebuilt = rebuild(&db, &window).await?;
    let counts: Vec<_> = rebuilt
        .iter()
        .map(|queue| json!({ "queue": queue.queue, "removed": queue.removed, "pushed": queue.pushed }))
        .collect();
    let entry = Entry {
        tenant_id: TenantId::SYSTEM,
        action: "window.rebuild".to_owned(),
        object_type: "window",
        object_id: engine.redis_prefix.clone(),
        details: json!({ "queues": counts }),
    };
    let mut tx = db.system().await?;
    audit::append(&mut tx, &keyring, &Actor::command_line(), &[entry]).await?;
    tx.commit().await?;
    for queue in rebuilt {
        println!("{}: removed {}, pushed {}", queue.queue, queue.removed, queue.pushed);
    }
    Ok(())
}
