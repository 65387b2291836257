//! The check of new passwords.

use precis_profiles::{OpaqueString, precis_core::profile::PrecisFastInvocation as _};
use zxcvbn::{Score, feedback::Feedback, zxcvbn};

/// The shortest password, in characters.
const SHORTEST: usize = 10;

/// The longest password, in bytes.
const LONGEST: usize = 200;

/// The number of characters from which the strength of a password is judged. The rest only makes it
/// stronger.
const JUDGED: usize = 128;

/// The number of a person's words that are joined with each other.
const MOST_PARTS: usize = 16;

/// Our own words, which are no secret.
const OURS: &str = "linecook";

/// The reason for which a new password is refused, in words for the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WeakPassword(String);

/// Returns the password in the form in which it is hashed, PRECIS `OpaqueString` (RFC 8265). It
/// does not depend on how a keyboard composes letters.
pub(super) fn prepare(password: &str) -> Result<String, WeakPassword> {
    let length_error = || WeakPassword(format!("password should have {SHORTEST} characters or more."));
    if password.is_empty() {
        return Err(length_error());
    }
    OpaqueString::enforce(password).map(String::from).map_err(|_| {
        WeakPassword("password should have no control characters and no characters that cannot be seen.".to_owned())
    })
}

/// Refuses a prepared password that is easy to guess.
pub(super) fn judge(password: &str, about: &[String]) -> Result<(), WeakPassword> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        let words = format!("password should have {SHORTEST} characters or more, and {LONGEST} bytes at most.");
        return Err(WeakPassword(words));
    }
    let judged: String = password.chars().take(JUDGED).collect();
    let known = dictionary(about);
    let judgement = zxcvbn(&judged, &known.iter().map(String::as_str).collect::<Vec<_>>());
    if judgement.score() >= Score::Three {
        return Ok(());
    }
    let advice = judgement.feedback().map(advice).unwrap_or_default();
    Err(WeakPassword(format!("password is too easy to guess. {advice}").trim_end().to_owned()))
}

/// Returns the words that make a password weak: whole texts first, then their parts, then each two
/// parts joined, such as `adarossi`.
fn dictionary(about: &[String]) -> Vec<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in about.iter().flat_map(|words| words.split(|c: char| !c.is_alphanumeric())) {
        if !part.is_empty() && parts.len() < MOST_PARTS && !parts.contains(&part) {
            parts.push(part);
        }
    }
    let joined = parts.iter().flat_map(|one| parts.iter().map(move |other| format!("{one}{other}")));
    let known = about.iter().cloned().chain(parts.iter().map(|&part| part.to_owned())).chain(joined);
    known.filter(|word| word.chars().count() > 2).chain([OURS.to_owned()]).collect()
}

fn advice(feedback: &Feedback) -> String {
    let warning = feedback.warning().map(|warning| warning.to_string());
    let suggestions = feedback.suggestions().iter().map(ToString::to_string);
    warning.into_iter().chain(suggestions).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(password: &str) -> Result<(), WeakPassword> {
        let about = ["Ada.Rossi@example.com", "Ada Rossi", "Krusty Pizza"].map(str::to_owned);
        prepare(password).and_then(|prepared| judge(&prepared, &about))
    }

    #[test]
    fn weak_passwords_are_refused_with_the_reason() {
        for (weak, reason) in [
            ("", "10 characters"),
            ("short", "10 characters"),
            ("aaaaaaaaaaaa", "Repeats"),
            ("password123", "common"),
            ("1234567890", "common"),
            ("qwertyuiop", "common"),
            ("Ada.Rossi@Example.com", "easy to guess"),
            ("krustypizza", "easy to guess"),
            ("adarossi2024", "easy to guess"),
            ("RossiAda2024", "easy to guess"),
            ("adakrusty!", "easy to guess"),
            ("rossiexample1", "easy to guess"),
            ("linecook2026", "easy to guess"),
            ("          ", "Repeats"),
            ("\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}", "cannot be seen"),
            ("correct\u{0}horse battery", "control"),
            (&"x1".repeat(101), "200 bytes"),
        ] {
            let refused = judged(weak).expect_err(weak).to_string();
            assert!(refused.contains(reason), "{weak}: {refused}");
        }
    }

    #[test]
    fn strong_passwords_are_taken_in_every_script_and_length() {
        for strong in
            ["correct horse battery", "пароль-длинный-дом", "vK8#qLm2!x", "ein sehr langer satz ".repeat(9).trim()]
        {
            assert_eq!(judged(strong), Ok(()), "{strong}");
        }
    }
}
