//! Normalizes and compares texts as networks accept and show them.

use unicode_normalization::UnicodeNormalization as _;

/// The link parameters that networks add or remove. Source: the parameters that networks, search
/// engines and mail tools append to links.
const TRACKERS: [&str; 6] = ["fbclid", "gclid", "dclid", "igshid", "mc_cid", "mc_eid"];

/// The prefix of further such parameters.
const TRACKER_PREFIX: &str = "utm_";

/// Returns a text as it is sent: lines end with LF, and characters are composed (NFC).
#[must_use]
pub fn normalized(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").nfc().collect()
}

/// Returns the form in which texts are compared: equal if a network shows them as the same.
///
/// Characters are composed and invisible ones removed. Words are separated by one space. Links have
/// no tracking parameters.
#[must_use]
pub fn canonical(text: &str) -> String {
    let visible: String = text.nfc().filter(|&c| !is_invisible(c)).collect();
    let words: Vec<String> = visible.split_whitespace().map(without_trackers).collect();
    words.join(" ")
}

/// Returns true for zero-width characters, marks of direction and variation selectors, but not for
/// white space.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0100}'..='\u{e01ef}')
}

fn without_trackers(word: &str) -> String {
    let Some((address, rest)) = word.split_once('?').filter(|_| word.contains("://")) else {
        return word.to_owned();
    };
    let (query, fragment) = rest.split_once('#').map_or((rest, None), |(query, fragment)| (query, Some(fragment)));
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_tracker(pair)).collect();
    let mut link = address.to_owned();
    if !kept.is_empty() {
        link.push('?');
        link.push_str(&kept.join("&"));
    }
    if let Some(fragment) = fragment {
        link.push('#');
        link.push_str(fragment);
    }
    link
}

fn is_tracker(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    TRACKERS.contains(&name.as_str()) || name.starts_with(TRACKER_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_has_one_kind_of_line_end_and_composed_characters() {
        assert_eq!(normalized("a\r\nb\rc\nd"), "a\nb\nc\nd");
        assert_eq!(normalized("cafe\u{301}  x "), "caf\u{e9}  x ");
    }

    #[test]
    fn what_networks_show_as_the_same_is_the_same() {
        for (sent, shown) in [
            ("a\r\nb", "a\nb"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("  trimmed \n", "trimmed"),
            ("two  spaces\u{a0}and\tmore", "two spaces and more"),
            ("zero\u{200b}width\u{200d}\u{feff}", "zerowidth"),
            ("soft\u{ad}hyphen \u{200e}marks\u{200f}", "softhyphen marks"),
            ("\u{2764}\u{fe0f} heart", "\u{2764} heart"),
            ("a\n\n\n\nb", "a\n\nb"),
            ("see https://a.example/b?utm_source=x&id=7&fbclid=Q", "see https://a.example/b?id=7"),
            ("see https://a.example/b?utm_source=x#top", "see https://a.example/b#top"),
            ("see https://a.example/b?UTM_Source=x", "see https://a.example/b"),
        ] {
            assert_eq!(canonical(sent), canonical(shown), "{sent:?}");
        }
    }

    #[test]
    fn what_differs_stays_different() {
        for (one, other) in [
            ("Two for one", "Two for One"),
            ("Two for one", "Two for one!"),
            ("https://a.example/b?id=7", "https://a.example/b?id=8"),
            ("utm_source=x", ""),
            ("why? fbclid=1", "why?"),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one:?}");
        }
    }
}
