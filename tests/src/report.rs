//! The measurements of the fault tests: one line each in a file, and the table made of them.

use std::{collections::BTreeMap, fmt::Write as _, fs, io::Write as _};

use serde::{Deserialize, Serialize};

use crate::optional_setting;

/// The measurements of one fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The group of the fault, which orders the table.
    pub group: Group,
    /// The fault.
    pub fault: String,
    /// The number of times the fault was caused.
    pub runs: u32,
    /// The accepted jobs.
    pub jobs: usize,
    /// Jobs that neither ended as they should nor wait for a person, and missing posts that are not
    /// marked unknown.
    pub lost: usize,
    /// Posts that are published more than once.
    pub duplicated: usize,
    /// Posts that wait for a person to decide if they are published.
    pub unknown: usize,
    /// The longest time in which no job ended although some were due.
    pub longest_stall_seconds: f64,
    /// Worker processes that were killed.
    pub crashes: u32,
}

/// A group of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Group {
    /// A process dies.
    Kill,
    /// A process is stopped and goes on later.
    Pause,
    /// A process is asked to stop.
    Stop,
    /// Redis fails.
    Redis,
    /// PostgreSQL fails.
    PostgreSql,
    /// The process that leads fails.
    Leader,
    /// A job misbehaves, or there are very many.
    Job,
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "`kill -9`",
            Self::Pause => "`SIGSTOP`",
            Self::Stop => "`SIGTERM`",
            Self::Redis => "Redis",
            Self::PostgreSql => "PostgreSQL",
            Self::Leader => "leader",
            Self::Job => "jobs",
        }
    }
}

impl Measured {
    /// Appends the line to the file that `scripts/test --long` asks for.
    ///
    /// # Panics
    /// If that cannot be written.
    pub fn append(&self) {
        println!("{self:?}");
        if let Some(path) = optional_setting("LINECOOK_FAULTS_FILE") {
            let line = serde_json::to_string(self).expect("plain fields") + "\n";
            let mut file = fs::File::options().create(true).append(true).open(path).expect("a file");
            // One write suffices, as tests run in parallel.
            file.write_all(line.as_bytes()).expect("it is written");
        }
    }

    /// Reads the appended lines, in the table's order. Of a fault measured twice the later line
    /// counts. Fails for an unknown line.
    pub fn parse(lines: &str) -> serde_json::Result<Vec<Self>> {
        let measured: Vec<Self> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let by_name: BTreeMap<(Group, String), Self> =
            measured.into_iter().map(|line| ((line.group, line.fault.clone()), line)).collect();
        Ok(by_name.into_values().collect())
    }
}

/// Returns the table in Markdown.
#[must_use]
pub fn table(lines: &[Measured]) -> String {
    let mut table = String::from(
        "| | fault | runs | jobs | lost | duplicated | unknown | longest stall | workers killed |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for line in lines {
        let Measured { group, fault, runs, jobs, lost, duplicated, unknown, longest_stall_seconds, crashes } = line;
        let group = group.name();
        let _ = writeln!(
            table,
            "| {group} | {fault} | {runs} | {jobs} | {lost} | {duplicated} | {unknown} | {longest_stall_seconds:.1} s | {crashes} |",
        );
    }
    table
}

/// Puts the table into a page, between the two marker lines. Returns `None` without them.
#[must_use]
pub fn place(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

const BEGIN: &str = "<!-- written by scripts/test --long -->";
const END: &str = "<!-- end -->";

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(group: Group, fault: &str, runs: u32) -> Measured {
        Measured {
            group,
            fault: fault.to_owned(),
            runs,
            jobs: 5,
            lost: 0,
            duplicated: 0,
            unknown: 1,
            longest_stall_seconds: 2.345,
            crashes: 3,
        }
    }

    #[test]
    fn lines_are_ordered_and_the_later_one_counts() {
        let lines = [
            measured(Group::Redis, "flushed", 1),
            measured(Group::Kill, "sent", 1),
            measured(Group::Redis, "flushed", 2),
        ];
        let written: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        assert_eq!(Measured::parse(&written).unwrap(), [lines[1].clone(), lines[2].clone()]);
    }

    #[test]
    fn the_table_replaces_the_one_in_the_page() {
        let table = table(&[measured(Group::Kill, "sent", 1)]);
        assert!(table.ends_with("| `kill -9` | sent | 1 | 5 | 0 | 0 | 1 | 2.3 s | 3 |\n"), "{table}");
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(place(&page, &table), Some(format!("a\n{BEGIN}\n{table}{END}\nb\n")));
        assert_eq!(place("no marks", &table), None);
    }
}
