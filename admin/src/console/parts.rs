//! The data of the parts of pages: fields with their values and errors, and choices.

/// A field of a form.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// The type as in HTML (`text`, `email`, `url`), or `lines` for several lines.
    pub(crate) kind: &'static str,
    pub(crate) value: String,
    pub(crate) hint: &'static str,
    pub(crate) autocomplete: &'static str,
    pub(crate) max_length: Option<usize>,
    pub(crate) is_required: bool,
    /// The error of the value.
    pub(crate) error: Option<String>,
}

impl Field {
    pub(super) fn text(name: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        Self { name, label, kind: "text", value: value.into(), autocomplete: "off", ..Self::default() }
    }

    pub(super) fn hinted(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    pub(super) fn at_most(self, max_length: usize) -> Self {
        Self { max_length: Some(max_length), ..self }
    }

    pub(super) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Returns the ids of the elements that describe the field, for screen readers.
    pub(crate) fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if !self.hint.is_empty() {
            ids.push(format!("{}-hint", self.name));
        }
        if self.error.is_some() {
            ids.push(format!("{}-error", self.name));
        }
        ids.join(" ")
    }
}

/// The error of a whole form.
pub(crate) struct Refused {
    pub(crate) title: &'static str,
    pub(crate) words: String,
}
