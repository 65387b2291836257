//! Logging.

use tracing_subscriber::EnvFilter;

/// This crate logs whole responses of the language model's provider, which may repeat our key. Our
/// own errors say what failed.
const MUTE: &str = "async_openai=off";

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text, for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The configuration of logging.
#[derive(Debug, Clone, clap::Args)]
pub struct LogConfig {
    /// The format of log lines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// The log filter, such as `info` or `info,jobs=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub rust_log: String,
}

impl LogConfig {
    /// Starts logging to standard error.
    ///
    /// # Errors
    /// Returns an error if `RUST_LOG` is malformed, or if logging was started before.
    pub fn start(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.rust_log)?.add_directive(MUTE.parse()?);
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => lines.with_ansi(false).try_init(),
            LogFormat::Json => lines.json().try_init(),
        }
        .map_err(|error| anyhow::anyhow!(error))
    }
}
