//! The worker: runs every kind of job.
//!
//! A [`feeder`] per queue pops ids from Redis and claims them. The [`runtime`] runs the claimed
//! jobs on apalis. The [`heartbeat`] keeps the process's lease. The [`dispatcher`] competes for
//! promoting and releasing work.
//!
//! [`start`] starts and stops all of that; they share a [`process::Process`]. A job under which
//! processes died runs alone, in a child process: [`isolation`].

mod config;
mod dispatcher;
mod feeder;
mod heartbeat;
mod isolation;
mod process;
mod runtime;
mod signals;
mod start;
mod ticket;

use clap::Parser as _;
use config::WorkerConfig;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = WorkerConfig::parse();
    config.log.start()?;
    if config.isolated { isolation::run_alone(config).await } else { start::run(config).await }
}
