//! Servers of a test's own, for faults of the servers themselves.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use jobs::engine::Db;
use rand::RngExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{setting, until};

/// How long a server may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Only the socket's folder is closed to others of this machine, so the superuser logs in there and nowhere else.
const LOGINS: &str = "local all all trust\nhost all postgres 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\n";

/// A Redis that keeps nothing.
#[derive(Debug)]
pub struct PrivateRedis {
    child: Child,
    port: u16,
    /// Where it is.
    pub url: String,
}

impl PrivateRedis {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn start() -> Self {
        let port = free_port();
        let redis = Self { child: spawn_redis(port), port, url: format!("redis://127.0.0.1:{port}") };
        redis.answers().await;
        redis
    }

    /// Kills it and starts an empty one in its place.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn restart_empty(&mut self) {
        end(&mut self.child, "KILL");
        self.child = spawn_redis(self.port);
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
        until("Redis answers", PATIENCE, async || self.try_command(&["PING"]).await.ok()).await;
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        end(&mut self.child, "KILL");
    }
}

fn spawn_redis(port: u16) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts")
}

/// A cluster of PostgreSQL with one migrated database.
#[derive(Debug)]
pub struct PrivatePostgres {
    child: Child,
    folder: PathBuf,
    port: u16,
    max_connections: u32,
    /// The database, as an ordinary login.
    pub url: String,
}

impl PrivatePostgres {
    /// Makes and starts one on a free port.
    ///
    /// # Panics
    /// If that fails.
    pub async fn start(max_connections: u32) -> Self {
        let folder = PathBuf::from(setting("LINECOOK_SERVER_DIR")).join(Uuid::now_v7().to_string());
        let program = postgres_program("initdb");
        let made = as_server_user(&program)
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(&folder)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        fs::write(folder.join("pg_hba.conf"), LOGINS).expect("its folder can be written");
        let port = free_port();
        let url = format!("postgres://linecook@127.0.0.1:{port}/linecook");
        let child = spawn_postgres(&folder, port, max_connections);
        let postgres = Self { child, folder, port, max_connections, url };
        postgres.make_database().await;
        postgres
    }

    /// A pool of an ordinary login's connections.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(5).connect(&self.url).await.expect("a connection")
    }

    /// Ends it at once, as a crash would; what was committed is there at the next start.
    pub fn stop_immediately(&mut self) {
        end(&mut self.child, "QUIT");
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn start_again(&mut self) {
        self.child = spawn_postgres(&self.folder, self.port, self.max_connections);
        self.superuser().await;
    }

    /// A connection as the superuser: by the socket, whose folder is closed to others.
    async fn superuser(&self) -> PgConnection {
        let url = format!("postgres://postgres@localhost:{}/postgres?host={}", self.port, self.folder.display());
        until("PostgreSQL answers", PATIENCE, async || PgConnection::connect(&url).await.ok()).await
    }

    async fn make_database(&self) {
        let mut superuser = self.superuser().await;
        for sql in ["create role linecook login", "create database linecook owner linecook"] {
            superuser.execute(sql).await.expect("the superuser may");
        }
        Db::migrate(&self.url).await.expect("migrations apply");
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        end(&mut self.child, "QUIT");
        // What is left goes with the folder that scripts/test removes.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn_postgres(folder: &PathBuf, port: u16, max_connections: u32) -> Child {
    as_server_user(&postgres_program("postgres"))
        .arg("-D")
        .arg(folder)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}")])
        .args(["-c", &format!("unix_socket_directories={}", folder.display())])
        .args(["-c", &format!("max_connections={max_connections}"), "-c", "timezone=UTC"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("postgres starts")
}

fn postgres_program(name: &str) -> String {
    format!("{}/{name}", setting("LINECOOK_POSTGRES_BIN"))
}

/// A command as the user who may run PostgreSQL, which does not run as root.
pub(crate) fn as_server_user(program: &str) -> Command {
    let words = setting("LINECOOK_SERVER_RUN");
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().expect("a word"));
    command.args(words).args(["env", "LC_ALL=C", program]).current_dir("/");
    command
}

/// Ends a server and waits for that, if it has not ended.
pub(crate) fn end(child: &mut Child, signal: &str) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        let _ = child.wait();
    }
}

/// A port that nobody listens on, among those that are not given to outgoing connections: a server that comes back finds it
/// free.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(20_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
