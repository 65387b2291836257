//! The API as a process whose memory and health are watched.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tests::{TestApp, Worker, optional_setting, setting};

pub(super) fn is_long() -> bool {
    optional_setting("LINECOOK_LONG").is_some()
}

/// The API, asked all the while for its health.
pub(super) struct Watched {
    process: Worker,
    pub(super) url: String,
    latencies: Arc<Mutex<Vec<Duration>>>,
    watching: std::thread::JoinHandle<()>,
}

impl Watched {
    pub(super) async fn start(app: &TestApp, settings: &[(&str, &str)]) -> Self {
        let (process, url) = app.serve_apart_with(&[&[("RATE_LIMIT_CLIENT", "none")], settings].concat()).await;
        Self::watch(process, url)
    }

    /// With `--long` what is deployed: a release build.
    pub(super) async fn start_as_asked(app: &TestApp, settings: &[(&str, &str)]) -> Self {
        if is_long() { Self::start_release(app, settings).await } else { Self::start(app, settings).await }
    }

    async fn start_release(app: &TestApp, settings: &[(&str, &str)]) -> Self {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let build = tokio::process::Command::new("cargo")
            .args(["build", "--release", "--package", "admin"])
            .env("SQLX_OFFLINE", "true")
            .current_dir(root)
            .status();
        assert!(build.await.expect("cargo starts").success());
        let folder = std::path::Path::new(&setting("LINECOOK_BIN_DIR")).parent().expect("a folder").join("release");
        let (process, url) = app.serve_from(&folder, &[&[("RATE_LIMIT_CLIENT", "none")], settings].concat()).await;
        Self::watch(process, url)
    }

    /// Watches from a thread of its own: making large pictures keeps the test's own thread busy for
    /// seconds.
    fn watch(process: Worker, url: String) -> Self {
        let latencies = Arc::<Mutex<Vec<Duration>>>::default();
        let (address, seen) = (url.trim_start_matches("http://").to_owned(), Arc::downgrade(&latencies));
        let watching = std::thread::spawn(move || {
            while let Some(seen) = seen.upgrade() {
                let begun = Instant::now();
                if is_healthy(&address).is_err() {
                    break;
                }
                seen.lock().expect("no panic").push(begun.elapsed());
                drop(seen);
                std::thread::park_timeout(Duration::from_millis(20));
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

    /// Returns the latencies of its health check.
    pub(super) fn latency(&self) -> String {
        let mut seen = self.latencies.lock().expect("no panic").clone();
        seen.sort();
        let at = |share: usize| seen.get((seen.len() * share / 100).min(seen.len().saturating_sub(1))).copied();
        let slow = seen.iter().filter(|latency| latency.as_millis() >= 100).count();
        let (median, most, slowest) = (at(50), at(99), seen.last());
        format!(
            "/health {} times: median {median:?}, 99 % {most:?}, slowest {slowest:?}, {slow} over 100 ms",
            seen.len()
        )
    }
}

/// Asks for the health over a connection of its own.
fn is_healthy(address: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

/// Returns a client that shares no connection with another request.
fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client")
}
