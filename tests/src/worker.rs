//! Workers, and the admin, as real processes.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use jobs::testing::{ENCRYPTION_KEYS, Sandbox};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::{setting, until};

/// The longest time a test waits for a worker.
const PATIENCE: Duration = Duration::from_secs(40);

/// Returns the command of one of our programs, with a sandbox for its providers.
pub(crate) fn command(program: &str, sandbox: &Sandbox) -> Command {
    let config = sandbox.services_config();
    let mut command = Command::new(format!("{}/{program}", setting("LINECOOK_BIN_DIR")));
    command
        .env("DATABASE_CONNECTIONS", "8")
        .env("WORKER_LEASE_SECONDS", "1")
        .env("ENCRYPTION_KEYS", ENCRYPTION_KEYS)
        .env("SECRET_KEY", "a-secret-key-for-tests-and-nothing-else")
        .env("STORAGE_URL", config.storage_url.as_str())
        .env("PUBLIC_URL", config.public_url.as_str())
        .env("FACEBOOK_APP_ID", "100200300400500")
        .env("FACEBOOK_APP_SECRET", "sandbox-app-secret")
        .env("META_GRAPH_URL", config.providers.meta.meta_graph_url.as_str())
        .env("META_DIALOG_URL", config.providers.meta.meta_dialog_url.as_str())
        .env("OPENAI_API_KEY", "sk-sandbox")
        .env("PUBLER_URL", config.providers.publer.publer_url.as_str())
        .env("OPENAI_BASE_URL", config.ai.openai_base_url.as_str())
        .env("SMTP_URL", setting("MAIL_SERVER_URL"))
        .env("MAIL_FROM", "linecook@example.com")
        .env("GOOGLE_CLIENT_ID", "google-sandbox-app")
        .env("GOOGLE_CLIENT_SECRET", "google-sandbox-secret")
        .env("GOOGLE_AUTH_URL", config.providers.google.google_auth_url.as_str())
        .env("GOOGLE_TOKEN_URL", config.providers.google.google_token_url.as_str())
        .env("GOOGLE_API_URL", config.providers.google.google_api_url.as_str())
        .env("GITHUB_CLIENT_ID", "github-sandbox-app")
        .env("GITHUB_CLIENT_SECRET", "github-sandbox-secret")
        .env("GITHUB_URL", config.providers.github.github_url.as_str())
        .env("GITHUB_API_URL", config.providers.github.github_api_url.as_str())
        .env("RUST_LOG", "info");
    command
}

/// A process of a worker or another of our programs, killed on drop.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

impl Worker {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let (told, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("worker: {line}");
                told.send_modify(|log| log.push(line));
            }
        });
        Self { child, log }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(self) -> Self {
        self.says("worker ready").await;
        self
    }

    /// Waits until a line of its log contains these words, and returns the line.
    ///
    /// # Panics
    /// If none does within 40 seconds, or the worker ends before.
    pub async fn says(&self, words: &str) -> String {
        let mut log = self.log.clone();
        let said = log.wait_for(|lines| lines.iter().any(|line| line.contains(words)));
        let said = tokio::time::timeout(PATIENCE, said).await.ok().and_then(Result::ok);
        let line = said.and_then(|lines| lines.iter().find(|line| line.contains(words)).cloned());
        line.unwrap_or_else(|| panic!("the worker never said {words:?}"))
    }

    /// Returns the lines of its log so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Returns its process id.
    ///
    /// # Panics
    /// If it is gone already.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("it is alive")
    }

    /// Returns its child processes that have not ended.
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

    /// Kills it without running any handler, like the death of a machine.
    ///
    /// # Panics
    /// If it is gone already.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it was alive");
    }

    /// Sends it a signal by its name: `STOP`.
    ///
    /// # Panics
    /// If it is gone.
    pub async fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "{name} reaches it");
    }

    /// Waits until it is stopped, for example by `SIGSTOP` at a failpoint.
    ///
    /// # Panics
    /// If it is not within 40 seconds.
    pub async fn stops(&self) {
        let id = self.id().to_string();
        until("the worker is stopped", PATIENCE, async || {
            let state = Command::new("ps").args(["-o", "stat=", "-p", &id]).output().await.expect("ps runs");
            state.stdout.starts_with(b"T").then_some(())
        })
        .await;
    }

    /// Waits until a signal has ended it, and returns the signal.
    ///
    /// # Panics
    /// If it is not within 40 seconds.
    pub async fn dies(mut self) -> Option<i32> {
        self.ends().await.signal()
    }

    /// Asks it to stop; returns its exit code and the time that took.
    ///
    /// # Panics
    /// If it does not end within 40 seconds.
    pub async fn terminate(mut self) -> (Option<i32>, Duration) {
        let begun = std::time::Instant::now();
        self.signal("TERM").await;
        (self.ends().await.code(), begun.elapsed())
    }

    async fn ends(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").expect("a status")
    }

    /// Asks it to stop again and again; returns its exit code and the time that took.
    ///
    /// # Panics
    /// If it does not end within a minute.
    pub async fn terminate_impatiently(mut self) -> (Option<i32>, Duration) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_mins(1) {
            self.signal("TERM").await;
            // Two signals at the same moment would count as one.
            if let Ok(status) = tokio::time::timeout(Duration::from_millis(200), self.child.wait()).await {
                return (status.expect("a status").code(), begun.elapsed());
            }
        }
        panic!("it does not end");
    }
}

/// Returns the parent of a running process. Returns none for one that has ended, even if nobody has
/// read its status yet.
#[must_use]
pub fn parent_of(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in parentheses and may contain anything; the state and the parent follow.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let is_alive = fields.next().is_some_and(|state| state != "Z");
    fields.next().filter(|_| is_alive)?.parse().ok()
}
