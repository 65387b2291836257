//! Workers as real processes.

use std::{process::Stdio, time::Duration};

use jobs::testing::Sandbox;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::setting;

/// A worker process; killed when dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
}

impl Worker {
    /// Starts a worker and waits until it is ready.
    pub(crate) async fn start(
        sandbox: &Sandbox,
        database_url: &str,
        redis_prefix: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let config = sandbox.services_config();
        let mut child = Command::new(format!("{}/worker", setting("LINECOOK_BIN_DIR")))
            .env("DATABASE_URL", database_url)
            .env("DATABASE_CONNECTIONS", "8")
            .env("REDIS_URL", setting("REDIS_URL"))
            .env("REDIS_PREFIX", redis_prefix)
            .env("WORKER_LEASE_SECONDS", "1")
            .env("ENCRYPTION_KEYS", "test:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")
            .env("STORAGE_URL", config.storage_url.as_str())
            .env("PUBLIC_URL", config.public_url.as_str())
            .env("FACEBOOK_APP_ID", &config.meta.facebook_app_id)
            .env("FACEBOOK_APP_SECRET", "sandbox-app-secret")
            .env("META_GRAPH_URL", config.meta.meta_graph_url.as_str())
            .env("META_DIALOG_URL", config.meta.meta_dialog_url.as_str())
            .env("OPENAI_API_KEY", "sk-sandbox")
            .env("OPENAI_BASE_URL", &config.ai.openai_base_url)
            .env("RUST_LOG", "info")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the worker starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("worker ready") {
                    return true;
                }
                eprintln!("worker: {line}");
            }
            false
        };
        let is_ready = tokio::time::timeout(Duration::from_secs(20), ready).await;
        assert_eq!(is_ready, Ok(true), "the worker becomes ready");
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("worker: {line}");
            }
        });
        Self { child }
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it is gone already.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("it is alive")
    }

    /// The processes that it started and that have not ended.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok());
        ids.filter(|&id| parent_of(id) == Some(self.id())).collect()
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not within `at_most`.
    pub async fn ended(mut self, at_most: Duration) {
        tokio::time::timeout(at_most, self.child.wait()).await.expect("it ends").expect("a status");
    }

    /// Kills it as a machine that dies would: no handler runs.
    ///
    /// # Panics
    /// If it is gone already.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it was alive");
    }

    /// Asks it to stop; answers its exit code and how long that took.
    ///
    /// # Panics
    /// If it does not end within half a minute.
    pub async fn terminate(mut self) -> (Option<i32>, Duration) {
        let begun = std::time::Instant::now();
        self.signal("TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        (ended.expect("it ends").expect("a status").code(), begun.elapsed())
    }

    /// Asks it to stop again and again; answers its exit code and how long that took.
    ///
    /// # Panics
    /// If it does not end within half a minute.
    pub async fn terminate_impatiently(mut self) -> (Option<i32>, Duration) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            self.signal("TERM").await;
            // Two signals at one moment would be one.
            if let Ok(status) = tokio::time::timeout(Duration::from_millis(200), self.child.wait()).await {
                return (status.expect("a status").code(), begun.elapsed());
            }
        }
        panic!("it does not end");
    }

    async fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "it gets the signal {name}");
    }
}

/// The parent of a process that runs; none of one that has ended, even if nobody has asked for its status yet.
#[must_use]
pub fn parent_of(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; the state and the parent follow.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let is_alive = fields.next().is_some_and(|state| state != "Z");
    fields.next().filter(|_| is_alive)?.parse().ok()
}
