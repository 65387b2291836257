//! Runs the sandbox until it is stopped.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use clap::Parser;
use sandbox::Sandbox;
use tokio::signal::unix::{SignalKind, signal};

/// Stands in for Meta, `OpenAI`, Publer, Google and GitHub in tests.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let sandbox = Sandbox::bind(SocketAddr::new(arguments.host, arguments.port)).await?;
    writeln!(io::stdout(), "sandbox listening on {}", sandbox.base_url())?;
    tokio::select! {
        result = sandbox.serve() => result,
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    }
}
