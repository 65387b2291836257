//! The header that names a field of a form: `form-data; name="file"; filename="photo.jpg"`.

use percent_encoding::percent_decode_str;

/// The name of a field, and of its file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disposition {
    pub(super) name: String,
    /// `None` for a field that is no file.
    pub(super) file_name: Option<String>,
}

impl Disposition {
    /// Reads the header. It may have quoted escapes, the escapes of browsers (`%22`), and
    /// `filename*` (RFC 5987), which wins over `filename`.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let header = std::str::from_utf8(header).ok()?;
        let (kind, mut rest) = header.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return None;
        }
        let (mut name, mut plain, mut extended) = (None, None, None);
        while let Some((key, after)) = rest.split_once('=') {
            let (value, after) = value(after.trim_start())?;
            match key.trim().to_ascii_lowercase().as_str() {
                "name" => name = Some(unescaped(&value)),
                "filename" => plain = Some(unescaped(&value)),
                "filename*" => extended = decoded(&value),
                _ => {}
            }
            rest = after;
        }
        Some(Self { name: name.filter(|name| !name.is_empty())?, file_name: extended.or(plain) })
    }
}

/// Returns the value at the beginning of a text, and the rest after its semicolon.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return Some((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let rest = &quoted[at + 1..];
                return Some((value, rest.split_once(';').map_or("", |(_, rest)| rest)));
            }
            // Some clients send a Windows path unescaped, so a backslash escapes only these two
            // characters.
            '\\' if quoted[at + 1..].starts_with(['"', '\\']) => value.extend(characters.next().map(|(_, next)| next)),
            other => value.push(other),
        }
    }
    None
}

/// Reverts the escapes of browsers, which escape three characters in names. Source: the HTML
/// standard, multipart/form-data encoding algorithm.
fn unescaped(value: &str) -> String {
    value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// Reads `UTF-8'en'na%C3%AFve.jpg`.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, text) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(header: &str) -> Option<(String, Option<String>)> {
        Disposition::parse(header.as_bytes()).map(|found| (found.name, found.file_name))
    }

    #[test]
    fn names_are_read_however_they_are_quoted() {
        let found = |name: &str, file: &str| Some((name.to_owned(), Some(file.to_owned())));
        assert_eq!(parsed("form-data; name=\"tags\""), Some(("tags".to_owned(), None)));
        for (header, file) in [
            (r#"form-data; name="file"; filename="a.jpg""#, "a.jpg"),
            ("FORM-DATA;Name=file;FileName=a.jpg", "a.jpg"),
            (r#"form-data; filename="a.jpg"; name="file""#, "a.jpg"),
            (r#"form-data; name="file"; filename="""#, ""),
            (r#"form-data; name="file"; filename="a \"b\" \\ c; name=x.jpg""#, r#"a "b" \ c; name=x.jpg"#),
            (r#"form-data; name="file"; filename="C:\photos\a.jpg""#, r"C:\photos\a.jpg"),
            (r#"form-data; name="file"; filename="a%22b.jpg""#, "a\"b.jpg"),
            ("form-data; name=\"file\"; filename*=UTF-8''na%C3%AFve%20%22x%22.jpg", "naïve \"x\".jpg"),
            ("form-data; name=\"file\"; filename*=utf-8'en'new.jpg; filename=\"old.jpg\"", "new.jpg"),
            ("form-data; name=\"file\"; filename=\"old.jpg\"; filename*=koi8-r''%FF", "old.jpg"),
            ("form-data; name=\"file\"; filename=\"naïve.jpg\"", "naïve.jpg"),
        ] {
            assert_eq!(parsed(header), found("file", file), "{header}");
        }
        for wrong in ["", "form-data", "form-data; name=\"\"", "attachment; name=\"x\"", "form-data; name=\"x"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(header in any::<Vec<u8>>(), tail in "[\\PC\\\\\"=;*' ]{0,40}") {
            let _ = Disposition::parse(&header);
            let _ = Disposition::parse(format!("form-data; {tail}").as_bytes());
        }

        #[test]
        fn a_quoted_name_comes_back(name in "[^\"\\\\%\\r\\n]{1,30}") {
            let header = format!("form-data; name=\"file\"; filename=\"{name}\"");
            prop_assert_eq!(parsed(&header), Some(("file".to_owned(), Some(name))));
        }
    }
}
