//! Prints the figures, one a line.

use std::io::{Write as _, stderr, stdout};

/// Prints a figure as `linecook.name value`. An error of the terminal is ignored.
pub(crate) fn print(name: &str, value: f64) {
    let decimals = if value.abs() < 100.0 { 2 } else { 0 };
    let _ = writeln!(stdout(), "linecook.{name} {value:.decimals$}");
}

/// Reports progress on standard error.
pub(crate) fn say(text: &str) {
    let _ = writeln!(stderr(), "==> {text}");
}

/// Returns the median; of an even number of values, the mean of the two in the middle.
///
/// # Panics
/// If there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// Returns the rate per second of `count` events in `time`.
pub(crate) fn per_second(count: usize, time: std::time::Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let count = count as f64;
    count / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "halves are exact")]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
