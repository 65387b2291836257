//! Servers of a test's own, for faults of the servers themselves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use jobs::engine::Db;
use rand::RngExt as _;
use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{optional_setting, setting, until};

/// The setting that says where the library is that moves a program's clock.
const FAKETIME: &str = "LINECOOK_FAKETIME";

/// The longest time until a server responds.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The login rules. Only the socket's folder is closed to other users of this machine, so the
/// superuser can log in there and nowhere else.
const LOGINS: &str = "local all all trust\nhost all postgres 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n";

/// A Redis without persistence.
#[derive(Debug)]
pub struct PrivateRedis {
    child: Child,
    port: u16,
    password: Option<String>,
    /// The address.
    pub url: String,
}

impl PrivateRedis {
    /// Starts a Redis on a free port.
    ///
    /// # Panics
    /// If it does not respond.
    pub async fn start() -> Self {
        Self::start_for(None).await
    }

    /// Starts a Redis that requires a password.
    ///
    /// # Panics
    /// If it does not respond.
    pub async fn start_closed(password: &str) -> Self {
        Self::start_for(Some(password)).await
    }

    async fn start_for(password: Option<&str>) -> Self {
        let port = free_port();
        let mut url = Url::parse(&format!("redis://127.0.0.1:{port}")).expect("an address");
        url.set_password(password).expect("an address with a host");
        let child = spawn_redis(port, password);
        let redis = Self { child, port, password: password.map(str::to_owned), url: url.into() };
        redis.answers().await;
        redis
    }

    /// Kills the server.
    pub fn stop(&mut self) {
        end(&mut self.child, "KILL");
    }

    /// Kills the server and starts an empty one in its place.
    ///
    /// # Panics
    /// If it does not respond.
    pub async fn restart_empty(&mut self) {
        self.stop();
        self.child = spawn_redis(self.port, self.password.as_deref());
        self.answers().await;
    }

    /// Runs a command: `["CONFIG", "SET", "maxmemory", "1"]`.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn command(&self, words: &[&str]) {
        self.try_command(words).await.expect("Redis obeys");
    }

    async fn try_command(&self, words: &[&str]) -> redis::RedisResult<()> {
        let client = redis::Client::open(self.url.as_str())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }

    async fn answers(&self) {
        until("Redis responds", PATIENCE, async || self.try_command(&["PING"]).await.ok()).await;
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        end(&mut self.child, "KILL");
    }
}

fn spawn_redis(port: u16, password: Option<&str>) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        .args(["--requirepass", password.unwrap_or_default()])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts")
}

/// The login rules with a password for the login.
const CLOSED_LOGINS: &str =
    "local all all trust\nhost all postgres 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// The options that make a server log every statement with its parameters.
const WATCHING: [&str; 4] =
    ["logging_collector=on", "log_directory=log", "log_statement=all", "log_parameter_max_length_on_error=-1"];

/// A PostgreSQL cluster with one migrated database.
#[derive(Debug)]
pub struct PrivatePostgres {
    child: Child,
    folder: PathBuf,
    port: u16,
    max_connections: u32,
    settings: &'static [&'static str],
    /// The file with the offset of its clock, if that can be changed.
    clock: Option<PathBuf>,
    /// The address of the database for an ordinary login.
    pub url: String,
}

impl PrivatePostgres {
    /// Creates a cluster and starts it on a free port.
    ///
    /// # Panics
    /// If that fails.
    pub async fn start(max_connections: u32) -> Self {
        Self::start_for(max_connections, None, false).await
    }

    /// Starts a cluster with a clock that can be set. Returns `None` if there is no libfaketime.
    ///
    /// # Panics
    /// If that fails.
    pub async fn start_with_clock(max_connections: u32) -> Option<Self> {
        optional_setting(FAKETIME)?;
        Some(Self::start_for(max_connections, None, true).await)
    }

    /// Sets its clock to this many seconds ahead of the machine's clock, or behind it.
    ///
    /// # Panics
    /// If it has none that can be set.
    pub fn set_clock(&self, seconds: i32) {
        let clock = self.clock.as_ref().expect("a clock that can be set");
        let next = clock.with_extension("next");
        fs::write(&next, format!("{seconds:+}s\n")).expect("its folder can be written");
        // At once: it is read all the time.
        fs::rename(next, clock).expect("a name that is free");
    }

    /// Starts a cluster with a password for the login, and a log of every statement with its
    /// parameters.
    ///
    /// # Panics
    /// If that fails.
    pub async fn start_watched(max_connections: u32, password: &str) -> Self {
        Self::start_for(max_connections, Some(password), false).await
    }

    async fn start_for(max_connections: u32, password: Option<&str>, has_clock: bool) -> Self {
        let folder = PathBuf::from(setting("LINECOOK_SERVER_DIR")).join(Uuid::now_v7().to_string());
        let program = postgres_program("initdb");
        let made = as_server_user(&program)
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(&folder)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let logins = if password.is_some() { CLOSED_LOGINS } else { LOGINS };
        fs::write(folder.join("pg_hba.conf"), logins).expect("its folder can be written");
        let port = free_port();
        let mut url = Url::parse(&format!("postgres://linecook@127.0.0.1:{port}/linecook")).expect("an address");
        url.set_password(password).expect("an address with a host");
        let settings: &[&str] = if password.is_some() { &WATCHING } else { &[] };
        let clock = has_clock.then(|| folder.with_extension("clock"));
        if let Some(clock) = &clock {
            fs::write(clock, "+0s\n").expect("its folder can be written");
        }
        let child = spawn_postgres(&folder, port, max_connections, settings, clock.as_deref());
        let postgres = Self { child, folder, port, max_connections, settings, clock, url: url.into() };
        postgres.make_database(password).await;
        postgres
    }

    /// Returns a pool of an ordinary login's connections.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(5).connect(&self.url).await.expect("a connection")
    }

    /// Stops the server at once, like a crash. Committed rows are there at the next start.
    pub fn stop_immediately(&mut self) {
        end(&mut self.child, "QUIT");
    }

    /// Starts the server again.
    ///
    /// # Panics
    /// If it does not respond.
    pub async fn start_again(&mut self) {
        self.child =
            spawn_postgres(&self.folder, self.port, self.max_connections, self.settings, self.clock.as_deref());
        self.superuser().await;
    }

    /// Returns everything in the database as `insert` statements.
    ///
    /// # Panics
    /// If it cannot be read.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let dumped = as_server_user(&postgres_program("pg_dump"))
            .args(["--inserts", "--username=postgres", "--port", &self.port.to_string(), "--host"])
            .arg(&self.folder)
            .arg("linecook")
            .output()
            .expect("pg_dump runs");
        assert!(dumped.status.success(), "pg_dump: {}", String::from_utf8_lossy(&dumped.stderr));
        dumped.stdout
    }

    /// Returns the log of a watched server.
    ///
    /// # Panics
    /// If it is not watched.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        let files = fs::read_dir(self.folder.join("log")).expect("a folder of logs");
        files.flat_map(|file| fs::read(file.expect("a file").path()).expect("a log")).collect()
    }

    /// Connects as the superuser through the socket, whose folder is closed to other users.
    async fn superuser(&self) -> PgConnection {
        let url = format!("postgres://postgres@localhost:{}/postgres?host={}", self.port, self.folder.display());
        until("PostgreSQL responds", PATIENCE, async || PgConnection::connect(&url).await.ok()).await
    }

    async fn make_database(&self, password: Option<&str>) {
        let mut superuser = self.superuser().await;
        // The password stays out of the log, because a test searches the log for it.
        let role =
            format!("create role linecook login password '{}'", password.unwrap_or_default().replace('\'', "''"));
        for sql in ["set log_statement = 'none'", role.as_str(), "create database linecook owner linecook"] {
            superuser.execute(AssertSqlSafe(sql.to_owned())).await.expect("the superuser may");
        }
        Db::migrate(&self.url).await.expect("migrations apply");
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        end(&mut self.child, "QUIT");
        // Leftovers are removed with the folder that scripts/test removes.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn_postgres(folder: &PathBuf, port: u16, max_connections: u32, settings: &[&str], clock: Option<&Path>) -> Child {
    let mut environment = Vec::new();
    if let Some(clock) = clock {
        environment.push(format!("LD_PRELOAD={}", setting(FAKETIME)));
        environment.push(format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()));
        environment.extend(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"].map(str::to_owned));
    }
    as_server_user_with(&environment, &postgres_program("postgres"))
        .arg("-D")
        .arg(folder)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}")])
        .args(["-c", &format!("unix_socket_directories={}", folder.display())])
        .args(["-c", &format!("max_connections={max_connections}"), "-c", "timezone=UTC"])
        // Signals end the server while the machine goes on, so nothing has to be synced to disk.
        .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("postgres starts")
}

fn postgres_program(name: &str) -> String {
    format!("{}/{name}", setting("LINECOOK_POSTGRES_BIN"))
}

/// Returns a command that runs as an ordinary user, because PostgreSQL does not run as root.
pub(crate) fn as_server_user(program: &str) -> Command {
    as_server_user_with(&[], program)
}

fn as_server_user_with(environment: &[String], program: &str) -> Command {
    let words = setting("LINECOOK_SERVER_RUN");
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().expect("a word"));
    command.args(words).args(["env", "LC_ALL=C"]).args(environment).arg(program).current_dir("/");
    command
}

/// The longest time a server may take to end after the signal.
const OBEDIENCE: Duration = Duration::from_secs(10);

/// Ends a server by a signal and waits until it has ended. Kills one that takes too long.
pub(crate) fn end(child: &mut Child, signal: &str) {
    end_within(child, signal, OBEDIENCE);
}

fn end_within(child: &mut Child, signal: &str, obedience: Duration) {
    let has_ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
    if has_ended(child) {
        return;
    }
    let _ = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    let begun = Instant::now();
    while !has_ended(child) && begun.elapsed() < obedience {
        #[expect(clippy::disallowed_methods, reason = "a server is ended in `drop`, which cannot wait otherwise")]
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Returns a free port outside the range of outgoing connections, so that a restarted server finds
/// it free.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(20_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::process::ExitStatusExt as _};

    use super::*;

    #[test]
    fn a_server_that_ignores_its_signal_is_killed() {
        let mut server = Command::new("sh");
        server.args(["-c", "trap '' QUIT; echo; exec sleep 600"]).stdout(Stdio::piped());
        let mut child = server.spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        end_within(&mut child, "QUIT", Duration::from_millis(100));
        let status = child.try_wait().unwrap().unwrap();
        assert_eq!(status.signal(), Some(9));
    }
}
