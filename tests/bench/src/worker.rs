//! The worker process that is measured.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use crate::wait;

/// The worker's queues: one queue with as many slots as a process takes, so that the batch is the
/// limit of a no-op.
const QUEUES: &str = "default:1000";

/// The worker program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) log: PathBuf,
}

/// A running worker process, killed on drop.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
}

impl Program {
    /// Starts the worker and waits until it is ready.
    pub(crate) async fn start(&self, environment: &[(&str, &str)]) -> anyhow::Result<Worker> {
        let log = File::create(&self.log).with_context(|| format!("could not write {}", self.log.display()))?;
        let mut child = Command::new(&self.path)
            .envs(environment.iter().copied())
            .env("WORKER_QUEUES", QUEUES)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", self.path.display()))?;
        wait::until("the worker to be ready", Duration::from_secs(30), async || {
            if let Some(status) = child.try_wait()? {
                bail!("the worker ended at once: {status}");
            }
            Ok(fs::read_to_string(&self.log)?.contains("worker ready").then_some(()))
        })
        .await?;
        Ok(Worker { child })
    }
}

impl Worker {
    /// Returns its memory in megabytes (10^6 bytes), or none where there is no `/proc`.
    pub(crate) fn rss_mb(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024.0 / 1e6)
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
