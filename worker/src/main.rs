//! The worker: runs every kind of job.
//!
//! A [`feeder`] a queue pops ids from Redis and claims them; [`runtime`] runs the claimed jobs on apalis; [`heartbeat`] keeps
//! the process' lease; [`dispatcher`] competes for promoting and releasing work; [`process`] starts and stops all that.

mod config;
mod dispatcher;
mod feeder;
mod heartbeat;
mod process;
mod runtime;

use clap::Parser as _;
use config::WorkerConfig;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = WorkerConfig::parse();
    config.log.start()?;
    process::run(config).await
}
