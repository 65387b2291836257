//! Runs suspect jobs in isolation. A job under which two processes died runs alone, in a child
//! process, so that it cannot take down other jobs.
//!
//! The child is this program with `--isolated`. It reads the claimed job as a line of JSON from
//! standard input, and then a word for each interruption. On standard output it reports that the
//! job begins, and how the attempt ended.
//!
//! The end of its input means that the worker is gone, and the child exits at once. The attempt
//! still belongs to the worker, under the worker's lease.

mod child;

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

pub(crate) use child::run_alone;
use jobs::engine::{AttemptEnd, Cause, CauseClass, Claimed, Interrupt, JobError};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::process::Process;

/// The number of children that a worker runs at once.
pub(crate) const AT_ONCE: usize = 2;

/// The delay before a job whose child did not start is run again.
const START_AGAIN: Duration = Duration::from_secs(10);

/// Runs an attempt in a child when a place is free, and settles it if the child did not.
pub(crate) async fn run(
    process: &Process,
    job: Claimed,
    mut interrupt: watch::Receiver<Option<Interrupt>>,
) -> AttemptEnd {
    let place = tokio::select! {
        biased;
        why = interrupted(&job, &mut interrupt) => return match why {
            Interrupt::Cancelled => process.engine.decline(&job, JobError::cancelled(), &interrupt).await,
            Interrupt::Stopping => AttemptEnd::Returned,
            Interrupt::Lost => AttemptEnd::Lost,
        },
        () = process.stopping.cancelled() => return AttemptEnd::Returned,
        place = process.isolated.acquire() => place,
    };
    let end = match start(&job).await {
        Ok(child) => follow(&job, child, interrupt.clone()).await,
        Err(error) => End::NotBegun(error),
    };
    drop(place);
    match end {
        End::Left(outcome) => outcome,
        End::Died(how) => process.engine.settle_crash(&job, how, &interrupt).await,
        End::NotBegun(error) => {
            let cause =
                Cause::new(CauseClass::Isolation, "The process in which it is to run alone did not start.", error);
            process.engine.decline(&job, JobError::Later(START_AGAIN, cause), &interrupt).await
        }
    }
}

async fn interrupted(job: &Claimed, interrupt: &mut watch::Receiver<Option<Interrupt>>) -> Interrupt {
    let seen = interrupt.wait_for(|why| why.is_some_and(|why| job.heeds(why))).await;
    seen.ok().and_then(|why| *why).unwrap_or(Interrupt::Lost)
}

/// Starts a child and hands the job over. It inherits the environment and the worker's arguments.
async fn start(job: &Claimed) -> anyhow::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--isolated")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let line = serde_json::to_string(job)?;
    if let Some(input) = &mut child.stdin {
        // A child that does not read has died, and its exit status shows that.
        let _ = input.write_all(format!("{line}\n").as_bytes()).await;
    }
    Ok(child)
}

/// Passes interruptions on, and reads reports until the child has ended.
async fn follow(job: &Claimed, mut child: Child, mut interrupt: watch::Receiver<Option<Interrupt>>) -> End {
    let mut input = child.stdin.take();
    let mut lines = child.stdout.take().map(|output| BufReader::new(output).lines());
    let (mut told, mut reported) = (None, None);
    while let Some(output) = &mut lines {
        tokio::select! {
            line = output.next_line() => match line {
                Ok(Some(line)) => {
                    reported = Report::read(&line).or(reported);
                    if reported == Some(Report::Begun) {
                        let (job_id, kind, crashes) = (job.attempt.job_id, &job.kind, job.crashes);
                        tracing::info!(%job_id, kind, crashes, process = child.id(), "runs alone");
                    }
                }
                Ok(None) | Err(_) => lines = None,
            },
            why = changed(&mut interrupt, told), if told != Some(Interrupt::Lost) => {
                told = why;
                if let (Some(why), Some(pipe)) = (told, &mut input) {
                    let _ = pipe.write_all(format!("{}\n", word(why)).as_bytes()).await;
                }
            }
        }
    }
    let status = child.wait().await;
    end_of(reported, told, status)
}

/// Waits for the next interruption that differs from `told`.
async fn changed(interrupt: &mut watch::Receiver<Option<Interrupt>>, told: Option<Interrupt>) -> Option<Interrupt> {
    interrupt.wait_for(|why| *why != told).await.map_or(Some(Interrupt::Lost), |why| *why)
}

/// The end of a child.
#[derive(Debug)]
enum End {
    /// It ended in order, or as it was told to.
    Left(AttemptEnd),
    /// It died while it ran the job.
    Died(String),
    /// It ended before it ran the job.
    NotBegun(anyhow::Error),
}

/// A report of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    /// The job starts to run.
    Begun,
    /// The attempt is settled.
    Settled,
    /// The attempt is to be handed back.
    Returned,
    /// The attempt must not write anything any more.
    Lost,
}

impl Report {
    const ALL: [Self; 4] = [Self::Begun, Self::Settled, Self::Returned, Self::Lost];

    fn line(self) -> &'static str {
        match self {
            Self::Begun => "isolated: begun",
            Self::Settled => "isolated: settled",
            Self::Returned => "isolated: returned",
            Self::Lost => "isolated: lost",
        }
    }

    /// Returns the outcome of the attempt, or `None` for its start.
    fn outcome(self) -> Option<AttemptEnd> {
        match self {
            Self::Begun => None,
            Self::Settled => Some(AttemptEnd::Settled),
            Self::Returned => Some(AttemptEnd::Returned),
            Self::Lost => Some(AttemptEnd::Lost),
        }
    }

    /// Reads a report from a line. A job may print other lines.
    fn read(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|report| report.line() == line)
    }
}

/// Returns the word that passes an interruption to the child.
fn word(why: Interrupt) -> &'static str {
    match why {
        Interrupt::Cancelled => "cancel",
        Interrupt::Stopping => "stop",
        Interrupt::Lost => "lose",
    }
}

/// Decides how a child ended. The job killed it only if it ended by itself, without a report, while
/// it ran the job.
///
/// A child that was told to stop, or that lost its attempt, may end in any way.
fn end_of(reported: Option<Report>, told: Option<Interrupt>, status: std::io::Result<ExitStatus>) -> End {
    if let Some(outcome) = reported.and_then(Report::outcome) {
        return End::Left(outcome);
    }
    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    match told {
        Some(Interrupt::Lost) => End::Left(AttemptEnd::Lost),
        Some(Interrupt::Stopping) => End::Left(AttemptEnd::Returned),
        Some(Interrupt::Cancelled) | None if reported.is_some() => End::Died(how),
        Some(Interrupt::Cancelled) | None => End::NotBegun(anyhow::anyhow!("it ended with {how}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn end(reported: Option<Report>, told: Option<Interrupt>) -> String {
        match end_of(reported, told, Ok(ExitStatus::from_raw(6))) {
            End::Left(outcome) => format!("{outcome:?}"),
            End::Died(how) => format!("died: {how}"),
            End::NotBegun(error) => format!("not begun: {error}"),
        }
    }

    #[test]
    fn only_a_death_of_its_own_while_the_job_ran_is_one() {
        let begun = Some(Report::Begun);
        let table = [
            (begun, None, "died: signal: 6 (SIGABRT)"),
            (begun, Some(Interrupt::Cancelled), "died: signal: 6 (SIGABRT)"),
            (begun, Some(Interrupt::Stopping), "Returned"),
            (begun, Some(Interrupt::Lost), "Lost"),
            (None, None, "not begun: it ended with signal: 6 (SIGABRT)"),
            (None, Some(Interrupt::Stopping), "Returned"),
            (Some(Report::Settled), None, "Settled"),
            (Some(Report::Settled), Some(Interrupt::Lost), "Settled"),
            (Some(Report::Returned), Some(Interrupt::Stopping), "Returned"),
            (Some(Report::Lost), None, "Lost"),
        ];
        for (reported, told, expected) in table {
            assert_eq!(end(reported, told), expected, "{reported:?} {told:?}");
        }
    }

    #[test]
    fn reports_are_told_from_what_a_job_prints() {
        for report in Report::ALL {
            assert_eq!(Report::read(report.line()), Some(report));
        }
        assert_eq!(Report::read("settled"), None);
    }
}
