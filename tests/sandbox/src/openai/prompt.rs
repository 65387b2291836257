//! The hints in a prompt about the reply, besides the schema.

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::openai::request::ChatRequest;

/// The length of a list without any hint.
const DEFAULT_ITEMS: usize = 3;
const MOST_ITEMS: usize = 1000;

/// The lines and words of a prompt that the reply follows.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    /// The number after the word `exactly` in the last message of the user.
    count: Option<usize>,
    /// The line `business: NAME`.
    pub(crate) business: Option<String>,
    /// The line `topic: T`.
    pub(crate) topic: Option<String>,
    /// The line `month: YYYY-MM`, as its first day.
    month: Option<NaiveDate>,
    /// The line `dates: YYYY-MM-DD, YYYY-MM-DD`.
    dates: Vec<NaiveDate>,
}

impl Hints {
    /// Reads the hints from a request.
    pub(crate) fn of(request: &ChatRequest) -> Self {
        let line = |key: &str| find_line(&request.prompt, key);
        let dates = line("dates").unwrap_or_default();
        Self {
            count: number_after_exactly(&request.last_user_message),
            business: line("business").map(str::to_owned),
            topic: line("topic").map(str::to_owned),
            month: line("month").and_then(|month| format!("{}-01", month.get(..7)?).parse().ok()),
            dates: dates.split(',').filter_map(|date| date.trim().parse().ok()).collect(),
        }
    }

    /// Returns the number of items of the outer list.
    pub(crate) fn items(&self) -> usize {
        self.count.unwrap_or(DEFAULT_ITEMS).min(MOST_ITEMS)
    }

    /// Returns the date of item `at` out of `count`: the given dates in order, or dates spread over
    /// the month.
    pub(crate) fn date(&self, at: usize, count: usize) -> NaiveDate {
        if !self.dates.is_empty() {
            return self.dates[at % self.dates.len()];
        }
        let first = self.month.or_else(|| NaiveDate::from_ymd_opt(2026, 1, 1)).expect("a fixed date exists");
        let days = days_in_month(first);
        let offset = at.min(count) * days / count.max(1);
        first + Days::new(offset.min(days - 1) as u64)
    }
}

fn days_in_month(first: NaiveDate) -> usize {
    let next = first + Months::new(1);
    (next - Days::new(1)).day() as usize
}

/// Returns the rest of the last line that starts with `key:`, ignoring bullets and case.
fn find_line<'a>(prompt: &'a str, key: &str) -> Option<&'a str> {
    let matching = |line: &'a str| {
        let (found, value) = line.split_once(':')?;
        let found = found.trim_start_matches([' ', '\t', '-', '*', '#']).trim_end();
        (found.eq_ignore_ascii_case(key) && !value.trim().is_empty()).then(|| value.trim())
    };
    prompt.lines().rev().find_map(matching)
}

fn number_after_exactly(message: &str) -> Option<usize> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let mut after = words.windows(2).filter(|pair| pair[0].eq_ignore_ascii_case("exactly"));
    after.find_map(|pair| pair[1].trim_end_matches(|last: char| !last.is_ascii_digit()).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read() {
        assert_eq!(number_after_exactly("Write exactly as told, Exactly 12 posts."), Some(12));
        assert_eq!(number_after_exactly("Write 12 posts"), None);
        let prompt = "a\n- Business: Trattoria: Aurora\nmonth: 2026-02";
        assert_eq!(find_line(prompt, "business"), Some("Trattoria: Aurora"));
        assert_eq!(find_line(prompt, "topic"), None);
    }

    #[test]
    fn dates_spread_over_the_month() {
        let hints = Hints { month: NaiveDate::from_ymd_opt(2026, 2, 1), ..Hints::default() };
        let dates: Vec<String> = (0..4).map(|at| hints.date(at, 4).to_string()).collect();
        assert_eq!(dates, ["2026-02-01", "2026-02-08", "2026-02-15", "2026-02-22"]);
        assert_eq!(hints.date(99, 100).to_string(), "2026-02-28");
    }
}
