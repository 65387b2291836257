//! The demo takes two restaurants from nothing to a published month, over HTTP, with planned faults
//! on the way.
//!
//! `scripts/demo` starts everything that this needs, except the workers. The demo starts those
//! itself, because it kills one of them.

mod api;
mod browser;
mod clock;
mod photo;
mod restaurant;
mod sandbox;
mod say;
mod steps;
mod views;
mod wait;
mod workers;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::{api::Api, sandbox::Sandbox, steps::Stage, workers::Workers};

/// The longest time the demo may take. It usually takes less than two minutes.
const LONGEST: Duration = Duration::from_mins(5);

/// Runs the demo for two restaurants. `scripts/demo` starts what it needs and calls it.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Config {
    /// The admin's address.
    #[arg(long, env = "API_URL")]
    api_url: Url,
    /// An operator's key.
    #[arg(long, env = "API_KEY", hide_env_values = true)]
    api_key: String,
    /// The address of the sandbox that stands in for Facebook and `OpenAI`.
    #[arg(long, env = "SANDBOX_URL")]
    sandbox_url: Url,
    /// The sandbox's world that the admin and the workers use.
    #[arg(long, default_value = "demo")]
    world: String,
    /// The worker program; it gets this program's environment.
    #[arg(long)]
    worker: PathBuf,
    /// The folder for the workers' logs.
    #[arg(long)]
    logs: PathBuf,
    /// The folder for the rendered pictures.
    #[arg(long)]
    pictures: PathBuf,
    /// Prints no colours, even on a terminal.
    #[arg(long, env = "NO_COLOR", hide = true)]
    no_color: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    say::set_up(config.no_color.as_deref().is_none_or(str::is_empty));
    let workers = Workers::new(config.worker, config.logs);
    let logs = workers.logs();
    let walk = async {
        let api = Api::new(&config.api_url, config.api_key)?;
        let sandbox = Sandbox::new(&config.sandbox_url, &config.world)?;
        let mut stage = Stage { api, sandbox, workers, pictures: config.pictures };
        let walk = tokio::time::timeout(LONGEST, steps::walk(&mut stage)).await;
        walk.with_context(|| format!("the demo timed out after {} s", LONGEST.as_secs()))?
    };
    let outcome = tokio::select! {
        outcome = walk => outcome,
        () = interrupted() => {
            say::line("\nInterrupted.");
            return ExitCode::from(130);
        }
    };
    match outcome {
        Ok(findings) if findings.is_empty() => {
            say::verdict(true, "All checks passed: each due post is published exactly once.");
            return ExitCode::SUCCESS;
        }
        Ok(findings) => {
            say::verdict(false, "These checks failed:");
            for finding in findings {
                say::line(&format!("  - {finding}"));
            }
        }
        Err(error) => say::verdict(false, &format!("The demo ended early: {error:#}")),
    }
    logs.show_end();
    ExitCode::FAILURE
}

async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
