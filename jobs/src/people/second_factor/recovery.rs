//! Recovery codes: 120 random bits each, so that a plain hash of one cannot be reversed.

use crate::secrets;

/// The number of codes that a person gets.
pub(super) const COUNT: usize = 10;

/// The letters of a code: lower case without those that look alike, 32 of them.
const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";

/// The letters in a code, and in each of its groups.
const LENGTH: usize = 24;
const GROUP: usize = 4;

/// A recovery code, without the dashes between its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecoveryCode(String);

impl RecoveryCode {
    /// Returns new codes.
    pub(super) fn several() -> Vec<Self> {
        (0..COUNT).map(|_| Self::new()).collect()
    }

    fn new() -> Self {
        let random: [u8; LENGTH] = rand::random();
        // 256 is a multiple of 32: each letter is equally likely.
        Self(random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
    }

    /// Reads a code as people type it.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        let is_between = |c: &char| c.is_whitespace() || *c == '-';
        let letters: String = typed.chars().filter(|c| !is_between(c)).map(|c| c.to_ascii_lowercase()).collect();
        let is_code = letters.len() == LENGTH && letters.bytes().all(|letter| LETTERS.contains(&letter));
        is_code.then_some(Self(letters))
    }

    /// Returns the code in groups: `abcd-efgh-...`.
    pub(super) fn grouped(&self) -> String {
        let letters: Vec<char> = self.0.chars().collect();
        letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
    }

    /// Returns the hash, which alone is stored.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        secrets::fingerprint(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_differ_and_are_read_as_they_were_shown() {
        let codes = RecoveryCode::several();
        for (index, code) in codes.iter().enumerate() {
            assert!(!codes[..index].contains(code));
            let shown = code.grouped();
            assert_eq!((shown.len(), shown.matches('-').count()), (29, 5), "{shown}");
            assert_eq!(RecoveryCode::parse(&format!(" {} ", shown.to_uppercase())), Some(code.clone()));
            assert_eq!(RecoveryCode::parse(&shown.replace('-', "")), Some(code.clone()));
        }
        for wrong in ["", "123456", "abcd-efgh", &"a".repeat(25), &"0".repeat(24), &"ä".repeat(12)] {
            assert_eq!(RecoveryCode::parse(wrong), None, "{wrong}");
        }
    }
}
