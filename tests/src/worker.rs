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
        let id = self.child.id().expect("it is alive").to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(asked.is_ok_and(|status| status.success()), "it is asked to stop");
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        (ended.expect("it ends").expect("a status").code(), begun.elapsed())
    }
}
