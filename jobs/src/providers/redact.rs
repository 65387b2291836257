//! Removes possible secrets from messages of providers, which may repeat parts of our request.

/// The length from which letters and digits in a row count as a secret, if both occur.
const LONG_STRETCH: usize = 16;

/// The same length for words that include the separators of keys and URLs.
const LONG_WORD: usize = 32;

/// Returns the message with `[hidden]` for everything that looks like a token, a key or a code.
pub(super) fn redact(words: &str) -> String {
    let mut kept = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find(is_of_key) {
        let length = rest[start..].find(|c| !is_of_key(c)).unwrap_or(rest.len() - start);
        let (word, after) = rest[start..].split_at(length);
        kept.push_str(&rest[..start]);
        kept.push_str(if is_secret(word) { "[hidden]" } else { word });
        rest = after;
    }
    kept.push_str(rest);
    kept
}

fn is_of_key(c: char) -> bool {
    c.is_alphanumeric() || "-_+/%~|".contains(c)
}

fn is_secret(word: &str) -> bool {
    // Tokens of Facebook and keys of OpenAI begin like this, whatever their length.
    let begins_like_one = word.starts_with("EAA") || word.starts_with("sk-");
    let stretches = || word.split(|c: char| !c.is_ascii_alphanumeric());
    begins_like_one
        || stretches().any(|part| part.len() >= LONG_STRETCH && is_mixed(part))
        || word.len() >= LONG_WORD && is_mixed(word)
}

fn is_mixed(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit()) && word.contains(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden_wherever_it_stands() {
        for secret in [
            "EAABsecret",
            "sk-short",
            "EAABwzLixnjYBO7ZC9f8ZAq2",
            "0123456789abcdef0123456789abcdef",
            "AQDx-9_zQ3vWk1-aB7c_dE5fGh2-iJ4kL",
            "dGhlIHNl/Y3JldCBv/ZiB0aGlz+IGFwcA1",
            "100200300400500|Zq8hXv2LkTn5Yw3c",
        ] {
            for (before, after) in [("", ""), ("'", "'"), ("token=", "&x=y"), ("a:", ", b"), ("(", ")"), ("\"", "\".")]
            {
                assert_eq!(redact(&format!("{before}{secret}{after}")), format!("{before}[hidden]{after}"));
            }
        }
    }

    #[test]
    fn what_people_need_to_read_stays() {
        for words in [
            "(#100) Param picture[0] must be a file",
            "Unsupported post request. Object with ID '10158250000000101' does not exist",
            "The post 10158250000000101_122093847561029384 is gone: see https://developers.facebook.com/docs/graph-api",
            "The model `gpt-4o-audio-preview-2024-12-17` does not exist",
            "insufficient_quota: You exceeded your current quota (code: billing_hard_limit_reached)",
            "Session has expired on Saturday, 21-Nov-26 23:00:00 PST.",
            "à 3 €",
            "",
        ] {
            assert_eq!(redact(words), words);
        }
    }
}
