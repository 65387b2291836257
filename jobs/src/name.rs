//! The names that people give to things and to themselves.

use std::{fmt, ops::RangeInclusive};

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use crate::posts::text::is_invisible;

/// A name as it is stored and compared: composed (NFC), without white space around it.
///
/// A name shows something, and has no characters that break lines or change the direction of the
/// text around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// A text that is no name. The message says what a name is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} to {} characters that show something, without line breaks and marks of direction",
    lengths.start(), lengths.end()
)]
pub struct BadName {
    lengths: RangeInclusive<usize>,
}

impl Name {
    /// Reads a name with so many characters. Only a name that may have none may be blank.
    ///
    /// # Errors
    /// Returns [`BadName`] with words to continue "a name of".
    pub fn parse(text: &str, lengths: RangeInclusive<usize>) -> Result<Self, BadName> {
        let name = composed(text);
        let is_good = lengths.contains(&name.chars().count())
            && !name.contains(breaks_text)
            && (name.is_empty() || name.contains(is_visible));
        if is_good { Ok(Self(name)) } else { Err(BadName { lengths }) }
    }

    /// Makes a name of a text that nobody typed here, such as the name of a file: leaves out what a
    /// name cannot have, and shortens it. Returns `None` if nothing visible is left.
    #[must_use]
    pub fn of_foreign(text: &str, longest: usize) -> Option<Self> {
        let kept = text.replace(breaks_text, "");
        let kept: String = composed(&kept).chars().take(longest).collect();
        Self::parse(&kept, 1..=longest).ok()
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// Returns the form in which names are compared.
#[must_use]
pub fn composed(text: &str) -> String {
    text.nfc().collect::<String>().trim().to_owned()
}

/// Returns true for characters that end a line, change the direction of text or control something
/// else. Marks of direction would have a name look like another one. Source: Unicode, properties
/// `Bidi_Control` and `General_Category`.
fn breaks_text(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn is_visible(c: char) -> bool {
    // Fillers of Hangul, the empty pattern of Braille, and tags.
    let is_blank =
        matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}');
    !is_blank && !c.is_whitespace() && !is_invisible(c) && !is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_taken_composed_and_trimmed() {
        for (text, name) in [
            (" Krusty Pizza\t", "Krusty Pizza"),
            ("Cafe\u{301}", "Caf\u{e9}"),
            ("\u{5e4}\u{5d9}\u{5e6}\u{5d4}", "\u{5e4}\u{5d9}\u{5e6}\u{5d4}"),
            (
                "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
                "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            ),
            ("\u{1f469}\u{200d}\u{1f373}", "\u{1f469}\u{200d}\u{1f373}"),
            ("\u{925}\u{93e}\u{932}\u{940}", "\u{925}\u{93e}\u{932}\u{940}"),
            ("x", "x"),
        ] {
            assert_eq!(Name::parse(text, 1..=20).unwrap().as_str(), name);
        }
        assert_eq!(Name::parse("  ", 0..=5).unwrap().as_str(), "");
    }

    #[test]
    fn what_shows_nothing_or_moves_other_text_is_no_name() {
        for text in [
            "",
            " ",
            "\u{a0}\u{3000}",
            "\u{200b}",
            "\u{200d}\u{200c}",
            "\u{ad}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}",
            "\u{fe0f}",
            "a\0b",
            "a\nb",
            "a\u{85}b",
            "a\u{7f}",
            "a\u{202e}b",
            "a\u{2066}b\u{2069}",
            "a\u{200f}",
            "a\u{2029}b",
            "a\u{feff}b",
            "\u{e0041}",
            "sixsix",
        ] {
            assert!(Name::parse(text, 1..=5).is_err(), "{text:?}");
        }
        // Composing makes this longer.
        assert!(Name::parse(&"\u{958}".repeat(3), 1..=5).is_err());
    }

    #[test]
    fn a_foreign_text_keeps_what_a_name_may_have() {
        let kept = |text: &str| Name::of_foreign(text, 5).map(String::from);
        assert_eq!(kept("a\0\u{202e}b\r\n"), Some("ab".to_owned()));
        assert_eq!(kept("1234 6789"), Some("1234".to_owned()));
        assert_eq!(kept("\u{200b}\0"), None);
    }
}
