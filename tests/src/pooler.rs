//! A pgbouncer of a test's own.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    servers::{PATIENCE, PrivatePostgres, as_server_user, end, free_port},
    setting, until,
};

/// The moment when a connection to PostgreSQL becomes free for another client.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    /// The connection is free after its client has disconnected.
    Session,
    /// The connection is free after its client's transaction has ended.
    Transaction,
}

impl Mode {
    /// Returns true if the installed pgbouncer supports this mode. Prepared statements follow their
    /// client from version 1.21 on.
    ///
    /// # Panics
    /// If it does not print its version.
    #[must_use]
    pub fn is_possible(self) -> bool {
        match self {
            Self::Session => true,
            Self::Transaction => version() >= (1, 21),
        }
    }
}

/// A pgbouncer in front of a private PostgreSQL.
#[derive(Debug)]
pub struct Pooler {
    child: Child,
    folder: PathBuf,
    /// The address of the database through pgbouncer.
    pub url: String,
}

impl Pooler {
    /// Starts pgbouncer on a free port, with at most `connections` to the database.
    ///
    /// # Panics
    /// If it does not respond.
    pub async fn start(postgres: &PrivatePostgres, mode: Mode, connections: u32) -> Self {
        let folder = PathBuf::from(setting("LINECOOK_SERVER_DIR")).join(Uuid::now_v7().to_string());
        fs::create_dir(&folder).expect("the servers' folder can be written");
        let port = free_port();
        fs::write(folder.join("users.txt"), "\"linecook\" \"\"\n").expect("its folder can be written");
        let direct: PgConnectOptions = postgres.url.parse().expect("an address");
        let backend = direct.get_port();
        let (mode, users) = (mode.settings(), folder.join("users.txt"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={backend}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\nmax_client_conn = 200\ndefault_pool_size = {connections}\n{mode}\n",
            users.display()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).expect("its folder can be written");
        let child = as_server_user(&program())
            .arg("--quiet")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer starts");
        let pooler = Self { child, folder, url: format!("postgres://linecook@127.0.0.1:{port}/linecook") };
        until("pgbouncer responds", PATIENCE, async || PgConnection::connect_with(&pooler.options()).await.ok()).await;
        pooler
    }

    /// Returns options for clients, without a setting that pgbouncer does not know and rejects.
    ///
    /// # Panics
    /// Not in practice: the address is its own.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.url.parse::<PgConnectOptions>().expect("an address").extra_float_digits(None)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        end(&mut self.child, "QUIT");
        // Leftovers are removed with the folder that scripts/test removes.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Mode {
    fn settings(self) -> &'static str {
        match self {
            Self::Session => "pool_mode = session",
            Self::Transaction => "pool_mode = transaction\nmax_prepared_statements = 200",
        }
    }
}

fn program() -> String {
    setting("LINECOOK_PGBOUNCER")
}

/// Returns the version as (1, 18).
fn version() -> (u32, u32) {
    let said = Command::new(program()).arg("--version").output().expect("pgbouncer runs");
    let said = String::from_utf8(said.stdout).expect("text");
    let version = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let mut numbers = version.expect("a version").split('.').map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a number"), numbers.next().expect("a number"))
}
