//! The API as a process whose memory and health are watched.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tests::{TestApp, Worker, setting};

/// The API, asked all the while for its health.
pub(super) struct Watched {
    process: Worker,
    pub(super) url: String,
    latencies: Arc<Mutex<Vec<Duration>>>,
    watching: tokio::task::JoinHandle<()>,
}

impl Watched {
    pub(super) async fn start(app: &TestApp, settings: &[(&str, &str)]) -> Self {
        let (process, url) = app.serve_apart_with(&[&[("RATE_LIMIT_CLIENT", "none")], settings].concat()).await;
        Self::watch(process, url)
    }

    /// A release build of its own: what is deployed.
    pub(super) async fn start_release(app: &TestApp) -> Self {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let build = tokio::process::Command::new("cargo")
            .args(["build", "--release", "--package", "admin"])
            .current_dir(root)
            .status();
        assert!(build.await.expect("cargo starts").success());
        let folder = std::path::Path::new(&setting("LINECOOK_BIN_DIR")).parent().expect("a folder").join("release");
        let (process, url) = app.serve_from(&folder, &[("RATE_LIMIT_CLIENT", "none")]).await;
        Self::watch(process, url)
    }

    fn watch(process: Worker, url: String) -> Self {
        let latencies = Arc::<Mutex<Vec<Duration>>>::default();
        let (health, seen) = (format!("{url}/health"), Arc::clone(&latencies));
        let watching = tokio::spawn(async move {
            loop {
                let begun = Instant::now();
                let answer = client().get(&health).send().await;
                assert!(answer.is_ok_and(|answer| answer.status().is_success()), "it is not well");
                seen.lock().expect("no panic").push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { process, url, latencies, watching }
    }

    /// It was all the while, and is.
    pub(super) async fn is_well(&self) {
        assert!(!self.watching.is_finished(), "it did not say that it is well");
        let answer = client().get(format!("{}/health", self.url)).send().await.expect("an answer");
        assert!(answer.status().is_success());
    }

    /// The highest resident memory so far.
    pub(super) fn highest_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// How long its health took.
    pub(super) fn latency(&self) -> String {
        let mut seen = self.latencies.lock().expect("no panic").clone();
        seen.sort();
        let at = |share: usize| seen.get((seen.len() * share / 100).min(seen.len().saturating_sub(1))).copied();
        format!("/health {} times: median {:?}, 99 % {:?}, slowest {:?}", seen.len(), at(50), at(99), seen.last())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Returns a client that shares no connection with another request.
fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client")
}
