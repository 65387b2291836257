//! Figures as drawings in SVG: columns and lines over time.
//!
//! A drawing is stretched to the width of the page, and 176 pixels high. Its texts stand beside it,
//! so that they are not stretched. The content security policy forbids inline styles: classes of the
//! stylesheet give the colours.

use super::words;

/// The vertical places of the highest and the lowest value.
const TOP: i64 = 12;
const BOTTOM: i64 = 164;

/// The horizontal units of a step.
const STEP: usize = 10;

/// Times on the axis of waits, in milliseconds.
const WAITS: [(f64, &str); 11] = [
    (1.0, "1 ms"),
    (10.0, "10 ms"),
    (100.0, "100 ms"),
    (1e3, "1 s"),
    (1e4, "10 s"),
    (6e4, "1 min"),
    (6e5, "10 min"),
    (3.6e6, "1 h"),
    (3.6e7, "10 h"),
    (2.592e8, "3 days"),
    (2.592e9, "30 days"),
];

/// A drawing of one or two series over time.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    /// The drawing in words, for those who do not see it.
    pub(crate) summary: String,
    /// The series: the classes of the drawing, and the name.
    pub(crate) legend: Vec<(&'static str, &'static str)>,
    /// The drawing of each series: classes and a path.
    pub(crate) paths: Vec<(&'static str, String)>,
    /// The marks on the axis: the vertical place, and the value.
    pub(crate) ticks: Vec<(String, String)>,
    /// The words about each step: its horizontal place, and the words.
    pub(crate) steps: Vec<(usize, String)>,
    /// The horizontal units of the drawing.
    pub(crate) width: usize,
    /// The first, the middle and the last time.
    pub(crate) times: Vec<String>,
}

/// A series of counts or of waits.
pub(super) struct Series<T> {
    pub(super) name: &'static str,
    /// Classes of the stylesheet.
    pub(super) look: &'static str,
    /// A value for each step.
    pub(super) values: Vec<T>,
}

impl Chart {
    /// Draws counts as columns. The first series has wide columns, the others stand in front of it.
    pub(super) fn of_counts(title: &'static str, times: &[String], series: &[Series<i64>]) -> Self {
        let most = series.iter().flat_map(|series| series.values.iter().copied()).max().unwrap_or(0);
        let end = round_up(most);
        let place = |value: i64| tenths(BOTTOM * 10 - value * (BOTTOM - TOP) * 10 / end);
        let mut ticks = vec![0, end];
        if end % 2 == 0 {
            ticks.insert(1, end / 2);
        }
        let column = |at: usize, value: i64, inset: usize| {
            let (left, right) = (at * STEP + inset, (at + 1) * STEP - inset);
            if value > 0 { format!("M{left} {BOTTOM}V{}H{right}V{BOTTOM}z", place(value)) } else { String::new() }
        };
        let paths = series.iter().enumerate().map(|(number, series)| {
            let inset = if number == 0 { 1 } else { 3 };
            let columns = series.values.iter().enumerate().map(|(at, value)| column(at, *value, inset));
            (series.look, columns.collect())
        });
        let sums = series.iter().map(|series| {
            let sum: i64 = series.values.iter().sum();
            format!("{}: {} in all", series.name, words::number(sum))
        });
        let highest = highest(times, series, |value| *value);
        let highest = highest.map_or_else(String::new, |(time, value)| {
            format!("; the most in one step: {}, {time}", words::number(value))
        });
        Self {
            summary: format!("{title}. {}{highest}.", sums.collect::<Vec<_>>().join("; ")),
            paths: paths.collect(),
            ticks: ticks.into_iter().map(|value| (place(value), words::number(value))).collect(),
            ..Self::framed(title, times, series, |value| words::number(*value))
        }
    }

    /// Draws waits in milliseconds as lines, on a logarithmic axis.
    pub(super) fn of_waits(title: &'static str, times: &[String], series: &[Series<Option<f64>>]) -> Self {
        let known = || series.iter().flat_map(|series| series.values.iter().copied().flatten());
        let (least, most) = (known().fold(f64::MAX, f64::min), known().fold(0.0, f64::max));
        let longest = WAITS.len() - 1;
        let high = WAITS.iter().position(|(ms, _)| *ms >= most).unwrap_or(longest).max(1);
        let low = WAITS.iter().rposition(|(ms, _)| *ms <= least).unwrap_or(0).min(high - 1);
        let (start, end) = (WAITS[low].0.log10(), WAITS[high].0.log10());
        let place = |ms: f64| {
            let share = ((ms.max(1.0).log10() - start) / (end - start)).clamp(0.0, 1.0);
            format!("{:.1}", 164.0 - 152.0 * share)
        };
        let paths = series.iter().map(|series| {
            let mut path = String::new();
            let mut is_drawing = false;
            for (at, wait) in series.values.iter().enumerate() {
                if let Some(ms) = wait {
                    let command = if is_drawing { 'L' } else { 'M' };
                    let step = [at * STEP + 1, (at + 1) * STEP - 1];
                    path.extend([format!("{command}{} {}H{}", step[0], place(*ms), step[1])]);
                }
                is_drawing = wait.is_some();
            }
            (series.look, path)
        });
        let slowest = highest(times, series, |wait| wait.unwrap_or(0.0));
        let slowest = slowest
            .map_or_else(String::new, |(time, ms)| format!(" The longest that is drawn: {}, {time}.", wait(Some(ms))));
        Self {
            summary: format!("{title}.{slowest}"),
            paths: paths.collect(),
            ticks: WAITS[low..=high].iter().map(|(ms, words)| (place(*ms), (*words).to_owned())).collect(),
            ..Self::framed(title, times, series, |ms| wait(*ms))
        }
    }

    /// Returns a drawing without its lines.
    fn framed<T>(title: &'static str, times: &[String], series: &[Series<T>], shown: impl Fn(&T) -> String) -> Self {
        let words = |at: usize, time: &String| {
            let values = series.iter().map(|series| format!("{}: {}", series.name, shown(&series.values[at])));
            format!("{time}. {}", values.collect::<Vec<_>>().join(". "))
        };
        let shown_times = [0, times.len() / 2, times.len().saturating_sub(1)];
        Self {
            title,
            summary: String::new(),
            legend: series.iter().map(|series| (series.look, series.name)).collect(),
            paths: Vec::new(),
            ticks: Vec::new(),
            steps: times.iter().enumerate().map(|(at, time)| (at * STEP, words(at, time))).collect(),
            width: times.len() * STEP,
            times: shown_times.iter().filter_map(|at| times.get(*at).cloned()).collect(),
        }
    }
}

/// Returns a wait in words.
pub(super) fn wait(ms: Option<f64>) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
    let length = |ms: f64| words::duration(chrono::TimeDelta::milliseconds(ms as i64));
    ms.map_or_else(|| "\u{2013}".to_owned(), length)
}

/// Returns the highest value of all series with its time, if one is above zero.
fn highest<T, V: PartialOrd + Default + Copy>(
    times: &[String],
    series: &[Series<T>],
    value: impl Fn(&T) -> V,
) -> Option<(String, V)> {
    let mut highest = None;
    for (at, shown) in series.iter().flat_map(|series| series.values.iter().enumerate()) {
        let shown = value(shown);
        if shown > highest.map_or_else(V::default, |(_, most)| most) {
            highest = Some((at, shown));
        }
    }
    highest.map(|(at, most)| (times[at].clone(), most))
}

/// Returns the next of 1, 2, 4, 10, 20, 40, 100, ...
fn round_up(most: i64) -> i64 {
    let mut power = 1;
    loop {
        if let Some(end) = [1, 2, 4].map(|digit| digit * power).into_iter().find(|end| *end >= most) {
            return end;
        }
        power *= 10;
    }
}

fn tenths(number: i64) -> String {
    format!("{}.{}", number / 10, number % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: usize) -> Vec<String> {
        (0..count).map(|minute| format!("08:{minute:02}")).collect()
    }

    #[test]
    fn counts_are_columns_up_to_a_round_number() {
        let done = Series { name: "Done", look: "wide ok", values: vec![0, 30, 10] };
        let failed = Series { name: "Failed", look: "narrow bad", values: vec![0, 0, 5] };
        let chart = Chart::of_counts("Ended", &times(3), &[done, failed]);
        assert_eq!(chart.paths[0], ("wide ok", "M11 164V50.0H19V164zM21 164V126.0H29V164z".to_owned()));
        assert_eq!(chart.paths[1], ("narrow bad", "M23 164V145.0H27V164z".to_owned()));
        let ticks: Vec<&str> = chart.ticks.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(ticks, ["0", "20", "40"]);
        assert_eq!(chart.summary, "Ended. Done: 40 in all; Failed: 5 in all; the most in one step: 30, 08:01.");
        assert_eq!(chart.steps[2], (20, "08:02. Done: 10. Failed: 5".to_owned()));
        assert_eq!((chart.width, chart.times.join(" ")), (30, "08:00 08:01 08:02".to_owned()));
    }

    #[test]
    fn waits_are_lines_with_gaps_on_a_logarithmic_axis() {
        let half = Series { name: "Half", look: "line info", values: vec![Some(10.0), Some(100.0), None, Some(10.0)] };
        let chart = Chart::of_waits("Waits", &times(4), &[half]);
        assert_eq!(chart.paths[0].1, "M1 164.0H9L11 12.0H19M31 164.0H39");
        assert_eq!(chart.ticks, [("164.0".to_owned(), "10 ms".to_owned()), ("12.0".to_owned(), "100 ms".to_owned())]);
        assert_eq!(chart.summary, "Waits. The longest that is drawn: 100 ms, 08:01.");
        assert_eq!(chart.steps[2].1, "08:02. Half: \u{2013}");
    }

    #[test]
    fn the_axes_fit_whatever_there_is() {
        for (most, end) in [(0, 1), (1, 1), (3, 4), (5, 10), (11, 20), (999, 1000), (1001, 2000)] {
            assert_eq!(round_up(most), end);
        }
        for waits in [vec![], vec![None], vec![Some(0.1)], vec![Some(1e12)], vec![Some(1.0), Some(5e9)]] {
            let count = waits.len();
            let chart = Chart::of_waits("Waits", &times(count), &[Series { name: "Half", look: "", values: waits }]);
            assert!(chart.ticks.len() >= 2 && !chart.paths[0].1.contains("NaN"), "{:?}", chart.paths);
        }
    }
}
