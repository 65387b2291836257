//! The JSON of other services, without what cannot be stored or even read.

use std::borrow::Cow;

/// The replacement for escapes that are no characters.
const REPLACEMENT: char = '\u{fffd}';

/// The length of an escape after its backslash: `u0041`.
const ESCAPE: usize = 5;

/// Returns JSON whose texts PostgreSQL takes: NUL is left out, and lone surrogates and bytes that
/// are not UTF-8 become U+FFFD.
///
/// Language models and networks send such texts now and then. A parser refuses the whole body for
/// a lone surrogate, so this looks at the escapes before it is parsed.
pub(super) fn storable(json: &[u8]) -> Cow<'_, [u8]> {
    match String::from_utf8_lossy(json) {
        text if text.contains("\\u") => Cow::Owned(escapes_replaced(&text).into_bytes()),
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn escapes_replaced(json: &str) -> String {
    let mut kept = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, escape)) = rest.split_once('\\') {
        kept.push_str(before);
        let length = match code_unit(escape) {
            Some(0) => ESCAPE,
            Some(0xd800..=0xdbff) if is_low_surrogate(&escape[ESCAPE..]) => {
                let pair = 2 * ESCAPE + 1;
                kept.push('\\');
                kept.push_str(&escape[..pair]);
                pair
            }
            Some(0xd800..=0xdfff) => {
                kept.push(REPLACEMENT);
                ESCAPE
            }
            // No JSON. Leaving out what is behind it could complete the escape.
            None if escape.starts_with('u') => {
                rest = &rest[before.len()..];
                break;
            }
            Some(_) | None => {
                // With the character behind it, which may be another backslash.
                let escaped = escape.chars().next().map_or(0, char::len_utf8);
                kept.push('\\');
                kept.push_str(&escape[..escaped]);
                escaped
            }
        };
        rest = &escape[length..];
    }
    kept.push_str(rest);
    kept
}

fn is_low_surrogate(escape: &str) -> bool {
    matches!(escape.strip_prefix('\\').and_then(code_unit), Some(0xdc00..=0xdfff))
}

/// Returns the number of an escape such as `u0041`.
fn code_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(json: &[u8]) -> Option<Value> {
        serde_json::from_slice(&storable(json)).ok()
    }

    #[test]
    fn what_cannot_be_stored_is_left_out_or_replaced() {
        for (json, text) in [
            (br#""plain \n \u00e9""#.as_slice(), "plain \n \u{e9}"),
            (br#""a\u0000b""#, "ab"),
            (br#""\ud83c\udf55""#, "\u{1f355}"),
            (br#""\uD83C\uDF55""#, "\u{1f355}"),
            (br#""a\ud83c""#, "a\u{fffd}"),
            (br#""\udf55a""#, "\u{fffd}a"),
            (br#""\ud83c\ud83c\udf55""#, "\u{fffd}\u{1f355}"),
            (br#""\ud83c\u0000\udf55""#, "\u{fffd}\u{fffd}"),
            (br#""\\u0000 \\\ud83c \\\\u0000""#, "\\u0000 \\\u{fffd} \\\\u0000"),
            (b"\"a\xff\xed\xa0\xbdb\"", "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"),
        ] {
            assert_eq!(read(json), Some(Value::from(text)), "{}", String::from_utf8_lossy(json));
        }
        assert_eq!(read(br#"{"a\u0000":"\u0000"}"#), Some(serde_json::json!({ "a": "" })));
        for broken in [br#""\u00""#.as_slice(), br#""\u+041""#, br#""\"#, br#""\u"#, b"", "\"\\é\"".as_bytes()] {
            assert_eq!(read(broken), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_ends_storable(bytes in any::<Vec<u8>>(), text in r#"(\\|u|0|d83c|udf55|[a-z"]){0,20}"#) {
            for json in [bytes, format!("\"{text}\"").into_bytes()] {
                if let Some(Value::String(text)) = read(&json) {
                    prop_assert!(!text.contains('\0'));
                }
                let once = storable(&json).into_owned();
                prop_assert_eq!(storable(&once), once.as_slice());
            }
        }

        #[test]
        fn other_json_stays_as_it_was(text in "[^\0]*") {
            let json = Value::from(text);
            prop_assert_eq!(read(json.to_string().as_bytes()), Some(json));
        }
    }
}
