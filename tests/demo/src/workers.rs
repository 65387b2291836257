//! The worker processes: started, killed, started again.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use crate::{say, wait};

/// The number of log lines shown.
const LAST_LINES: usize = 15;

/// The running worker, and the program to start another. The worker ends on drop.
#[derive(Debug)]
pub(crate) struct Workers {
    program: PathBuf,
    logs: Logs,
    running: Option<Child>,
}

/// The logs of the workers.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    folder: PathBuf,
    files: Arc<Mutex<Vec<PathBuf>>>,
}

impl Workers {
    /// Creates the set without a worker.
    pub(crate) fn new(program: PathBuf, folder: PathBuf) -> Self {
        Self { program, logs: Logs { folder, files: Arc::default() }, running: None }
    }

    /// Returns the workers' log files.
    pub(crate) fn logs(&self) -> Logs {
        self.logs.clone()
    }

    /// Starts a worker and waits until it is ready. Returns its process id and the time that took.
    pub(crate) async fn start(&mut self) -> anyhow::Result<(u32, Duration)> {
        let begun = Instant::now();
        let log = self.logs.add();
        let file = File::create(&log).with_context(|| format!("could not write {}", log.display()))?;
        let child = Command::new(&self.program)
            .env("NO_COLOR", "1")
            .env_remove("API_KEY")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", self.program.display()))?;
        let child = self.running.insert(child);
        wait::until("the worker to be ready", Duration::from_secs(30), async || {
            if let Some(status) = child.try_wait()? {
                bail!("the worker ended at once: {status}");
            }
            Ok(fs::read_to_string(&log)?.contains("worker ready").then_some(()))
        })
        .await?;
        Ok((self.pid(), begun.elapsed()))
    }

    /// Returns the process id of the running worker, or 0 without one.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().and_then(Child::id).unwrap_or_default()
    }

    /// Kills the worker as `kill -9` does, without warning.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.running.take().context("no worker runs")?;
        child.start_kill()?;
        child.wait().await?;
        Ok(())
    }
}

impl Logs {
    fn add(&self) -> PathBuf {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.folder.join(format!("worker-{}.log", files.len() + 1));
        files.push(file.clone());
        file
    }

    /// Prints the end of every worker's log.
    pub(crate) fn show_end(&self) {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, file) in files.iter().enumerate() {
            let text = fs::read_to_string(file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            if lines.is_empty() {
                continue;
            }
            say::line(&format!("\nThe end of the log of worker {}:", at + 1));
            for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
                say::line(&format!("  {line}"));
            }
        }
    }
}
