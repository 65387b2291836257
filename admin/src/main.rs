//! The admin's command line.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jobs::telemetry::LogConfig;

use self::commands::{create_operator, migrate, rebuild_queue, reset_second_factor, serve, verify_audit};

/// Linecook's admin. Every setting is an environment variable.
#[derive(Debug, Parser)]
#[command(name = "admin", version)]
struct Cli {
    #[command(flatten)]
    log: LogConfig,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API.
    Serve(Box<serve::Config>),
    /// Apply the migrations.
    Migrate(migrate::Config),
    /// Empty this installation's windows in Redis and push the jobs that the ledger has as
    /// dispatched. May be repeated.
    RebuildQueue(rebuild_queue::Config),
    /// Give an operator access: print a key, or with --email a link at which the person chooses a
    /// password. Either is shown only once.
    CreateOperator(Box<create_operator::Config>),
    /// End the access of an operator who signs in with an address.
    RemoveOperator(create_operator::Removal),
    /// Remove the second factor of somebody who has lost it, and sign them out everywhere.
    ResetSecondFactor(reset_second_factor::Config),
    /// Check that nobody changed the audit log: exits with 0 if it is whole, 1 if it is broken, 2
    /// if the check failed.
    VerifyAudit(verify_audit::Config),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let is_check = matches!(cli.command, Command::VerifyAudit(_));
    match run(cli).await {
        Err(error) if is_check => Ok(verify_audit::cannot_say(&error)),
        outcome => outcome,
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    cli.log.start()?;
    match cli.command {
        Command::Serve(config) => serve::run(*config).await?,
        Command::Migrate(config) => migrate::run(config).await?,
        Command::RebuildQueue(config) => rebuild_queue::run(config).await?,
        Command::CreateOperator(config) => create_operator::run(*config).await?,
        Command::RemoveOperator(removal) => create_operator::remove(removal).await?,
        Command::ResetSecondFactor(config) => reset_second_factor::run(config).await?,
        Command::VerifyAudit(config) => return verify_audit::run(config).await,
    }
    Ok(ExitCode::SUCCESS)
}
