//! Texts as a network shows them, which may differ from the sent ones.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

const ZERO_WIDTH: [char; 5] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'];
const VARIATION_SELECTORS: [char; 2] = ['\u{fe0e}', '\u{fe0f}'];
/// Symbols that are shown as pictures or as text, depending on a variation selector after them.
const SYMBOLS: std::ops::RangeInclusive<char> = '\u{2600}'..='\u{27bf}';

/// One way in which the shown text differs from the sent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Alteration {
    /// Lines end with CRLF.
    LfToCrlf,
    /// Lines end with LF.
    CrlfToLf,
    /// Letters and their marks become composed.
    Nfc,
    /// Letters and their marks become decomposed.
    Nfd,
    /// Zero-width characters are added: one at the start, one after each space.
    AddZeroWidth,
    /// Zero-width characters are removed, those that join the parts of one emoji included.
    StripZeroWidth,
    /// Each symbol gets a variation selector.
    AddVariationSelectors,
    /// Variation selectors are removed.
    StripVariationSelectors,
    /// Several spaces in a row become one.
    CollapseSpaces,
    /// Space at both ends is removed.
    TrimEnds,
    /// Links lose their tracking parameters.
    StripLinkParams,
    /// Links get a tracking parameter.
    AddLinkParams,
}

/// Returns the text after all alterations, in their order.
pub(crate) fn altered(text: &str, alterations: &[Alteration]) -> String {
    alterations.iter().fold(text.to_owned(), |text, alteration| alter(&text, *alteration))
}

fn alter(text: &str, alteration: Alteration) -> String {
    match alteration {
        Alteration::LfToCrlf => text.replace("\r\n", "\n").replace('\n', "\r\n"),
        Alteration::CrlfToLf => text.replace("\r\n", "\n"),
        Alteration::Nfc => text.nfc().collect(),
        Alteration::Nfd => text.nfd().collect(),
        Alteration::AddZeroWidth => format!("\u{feff}{}", text.replace(' ', " \u{200b}")),
        Alteration::StripZeroWidth => text.replace(ZERO_WIDTH, ""),
        Alteration::AddVariationSelectors => add_variation_selectors(text),
        Alteration::StripVariationSelectors => text.replace(VARIATION_SELECTORS, ""),
        Alteration::CollapseSpaces => collapse_spaces(text),
        Alteration::TrimEnds => text.trim().to_owned(),
        Alteration::StripLinkParams => each_link(text, |link| with_params(link, strip_params)),
        Alteration::AddLinkParams => each_link(text, |link| with_params(link, add_params)),
    }
}

fn add_variation_selectors(text: &str) -> String {
    let mut altered = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        altered.push(character);
        let has_selector = characters.peek().is_some_and(|next| VARIATION_SELECTORS.contains(next));
        if SYMBOLS.contains(&character) && !has_selector {
            altered.push('\u{fe0f}');
        }
    }
    altered
}

fn collapse_spaces(text: &str) -> String {
    let mut altered = String::with_capacity(text.len());
    for character in text.chars() {
        if character != ' ' || !altered.ends_with(' ') {
            altered.push(character);
        }
    }
    altered
}

/// Returns the text with each link replaced. A link ends at white space, and the punctuation before
/// it is not part of it.
fn each_link(text: &str, replace: impl Fn(&str) -> String) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let Some(start) = word.find("https://").or_else(|| word.find("http://")) else {
            return word.to_owned();
        };
        let end = word.trim_end_matches(|last: char| last.is_whitespace() || ".,;:!?)\"'".contains(last)).len();
        match word.get(start..end) {
            Some(link) => format!("{}{}{}", &word[..start], replace(link), &word[end..]),
            None => word.to_owned(),
        }
    });
    words.collect()
}

/// Returns the link with another query; its other parts stay as they are.
fn with_params(link: &str, change: impl Fn(Vec<&str>) -> Vec<String>) -> String {
    let (rest, fragment) = link.find('#').map_or((link, ""), |at| link.split_at(at));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let params = change(query.split('&').filter(|param| !param.is_empty()).collect());
    let mark = if params.is_empty() { "" } else { "?" };
    format!("{path}{mark}{}{fragment}", params.join("&"))
}

fn strip_params(params: Vec<&str>) -> Vec<String> {
    let follows = |param: &&str| {
        let name = param.split('=').next().unwrap_or_default();
        name.starts_with("utm_") || ["fbclid", "gclid", "igshid", "mc_cid", "mc_eid"].contains(&name)
    };
    params.into_iter().filter(|param| !follows(param)).map(str::to_owned).collect()
}

fn add_params(params: Vec<&str>) -> Vec<String> {
    params.into_iter().map(str::to_owned).chain(["fbclid=IwAR0sandbox".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alteration_does_what_its_name_says() {
        let cases = [
            (Alteration::LfToCrlf, "a\nb\r\nc", "a\r\nb\r\nc"),
            (Alteration::CrlfToLf, "a\r\nb", "a\nb"),
            (Alteration::Nfc, "ragu\u{300}", "rag\u{f9}"),
            (Alteration::Nfd, "rag\u{f9}", "ragu\u{300}"),
            (Alteration::AddZeroWidth, "a b", "\u{feff}a \u{200b}b"),
            (Alteration::StripZeroWidth, "a\u{200b}b\u{200d}c", "abc"),
            (Alteration::AddVariationSelectors, "\u{2764} \u{2600}\u{fe0f}", "\u{2764}\u{fe0f} \u{2600}\u{fe0f}"),
            (Alteration::StripVariationSelectors, "\u{2764}\u{fe0f}", "\u{2764}"),
            (Alteration::CollapseSpaces, "a   b  c\n  d", "a b c\n d"),
            (Alteration::TrimEnds, " a b\n", "a b"),
            (Alteration::StripLinkParams, "(https://a.b/c?utm_source=x&d=1#e).", "(https://a.b/c?d=1#e)."),
            (Alteration::StripLinkParams, "http://a.b/?fbclid=1 c?utm_x=1", "http://a.b/ c?utm_x=1"),
            (Alteration::AddLinkParams, "a https://a.b/#c, d", "a https://a.b/?fbclid=IwAR0sandbox#c, d"),
            (Alteration::AddLinkParams, "https://a.b?c=1", "https://a.b?c=1&fbclid=IwAR0sandbox"),
        ];
        for (alteration, sent, shown) in cases {
            assert_eq!(altered(sent, &[alteration]), shown, "{alteration:?}");
        }
        assert_eq!(altered(" a  b ", &[Alteration::CollapseSpaces, Alteration::TrimEnds]), "a b");
    }
}
