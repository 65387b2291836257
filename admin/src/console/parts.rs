//! The data of the parts of pages: fields with their values and errors, choices, and what is live.

/// A field of a form.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// The id on the page; empty: the name is it.
    pub(crate) id: String,
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

    /// The id on the page.
    pub(crate) fn id(&self) -> &str {
        if self.id.is_empty() { self.name } else { &self.id }
    }

    /// Returns the ids of the elements that describe the field, for screen readers.
    pub(crate) fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if !self.hint.is_empty() {
            ids.push(format!("{}-hint", self.id()));
        }
        if self.error.is_some() {
            ids.push(format!("{}-error", self.id()));
        }
        ids.join(" ")
    }
}

/// The parts of a page that stay as things are now, while the page is open.
pub(crate) struct Live {
    /// The ids of the parts, with spaces between them.
    pub(crate) parts: &'static str,
    /// The address of the event stream that says when something changed. Without one, the parts are
    /// fetched now and then.
    pub(crate) stream: Option<String>,
}

/// The error of a whole form.
pub(crate) struct Refused {
    pub(crate) title: &'static str,
    pub(crate) words: String,
}
