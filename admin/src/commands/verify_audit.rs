//! Checking the audit log.

use std::process::ExitCode;

use jobs::{
    audit::{self, KnownHead, Report},
    config::KeyringConfig,
    engine::Db,
};
use secrecy::ExposeSecret as _;

use super::database::DatabaseConfig;

/// The chains to check, and the keys to check them with.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    keys: KeyringConfig,
    /// The end of the operators' chain that an earlier run printed: checks that the chain still has
    /// that entry.
    #[arg(long)]
    known_head: Option<KnownHead>,
}

/// Checks the audit log, and prints each break and the number of checked entries.
pub(crate) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let keyring = config.keys.keyring()?;
    let db = Db::connect(config.database.database_url.expose_secret(), 1, None).await?;
    let report = audit::verify(&db, &keyring, config.known_head, &mut |broken| println!("{broken}")).await?;
    print(&report);
    Ok(if report.breaks == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Returns the exit code for a check that could not be made.
pub(crate) fn cannot_say(error: &anyhow::Error) -> ExitCode {
    eprintln!("The audit log could not be checked: {error:#}");
    ExitCode::from(2)
}

fn print(report: &Report) {
    let Report { chains, entries, of_before, erased, being_erased, breaks, head } = report;
    println!("{entries} entries in {chains} chains, {of_before} from before there were chains");
    println!("{erased} tenants erased, {being_erased} being erased");
    if let Some(head) = head {
        println!("the operators' chain ends at {head}");
    }
    match breaks {
        0 => println!("whole"),
        count => println!("broken in {count} places"),
    }
}
