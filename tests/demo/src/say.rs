//! The demo's output. An error of the terminal is ignored.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _, stdout},
    sync::OnceLock,
};

use crate::views::Job;

static COLORED: OnceLock<bool> = OnceLock::new();

/// Turns colours on if they are wanted and the output is a terminal.
pub(crate) fn set_up(wanted: bool) {
    COLORED.get_or_init(|| wanted && stdout().is_terminal());
}

/// Prints one line, or several.
pub(crate) fn line(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

/// Prints the title of a step.
pub(crate) fn heading(number: usize, title: &str) {
    line(&format!("\n{}", bold(format!("{number}. {title}"))));
}

/// Prints what is being asked, or why.
pub(crate) fn asked(text: &str) {
    line(&format!("  {text}"));
}

/// Prints a quoted text, indented and broken into lines.
pub(crate) fn quote(title: &str, text: &str) {
    let mut lines = vec![title.to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + word.chars().count() < 96 => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(format!("{:title$} {word}", "", title = title.chars().count())),
        }
    }
    for text in lines {
        line(&format!("      {text}"));
    }
}

/// Prints a job and its outcome.
pub(crate) fn job(job: &Job, outcome: &str) {
    line(&format!("  {}  {}  -> {outcome}", job_name(job), green(format!("completed in {:>4} ms", job.took_ms()))));
}

/// Prints a job in a state that is not its last.
pub(crate) fn job_is(job: &Job, state: &str, outcome: &str) {
    line(&format!("  {}  {}  -> {outcome}", job_name(job), yellow(state)));
}

/// Prints an event with the seconds since the beginning of a step.
pub(crate) fn at(seconds: f32, text: &str) {
    line(&format!("  {} {text}", dim(format!("{seconds:>5.1} s"))));
}

/// Prints the final result.
pub(crate) fn verdict(held: bool, text: &str) {
    let text = if held { green(text) } else { red(text) };
    line(&format!("\n{}", bold(&text)));
}

/// Prints a table: its first row is the title, its first column is left-aligned.
pub(crate) fn table(rows: &[Vec<String>]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    for (at, row) in rows.iter().enumerate() {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<width$}", width = width(0)),
            _ => format!("{cell:>width$}", width = width(column)),
        });
        let text = cells.collect::<Vec<_>>().join("   ");
        line(&format!("  {}", if at == 0 { bold(&text) } else { text }));
    }
}

fn job_name(job: &Job) -> String {
    format!("{:<19}  {}", job.kind, dim(job.short_id()))
}

fn bold(text: impl Display) -> String {
    painted("1", text)
}

fn dim(text: impl Display) -> String {
    painted("2", text)
}

fn red(text: impl Display) -> String {
    painted("31", text)
}

fn green(text: impl Display) -> String {
    painted("32", text)
}

fn yellow(text: impl Display) -> String {
    painted("33", text)
}

fn painted(code: &str, text: impl Display) -> String {
    if COLORED.get().copied().unwrap_or(false) { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}
