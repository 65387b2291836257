//! Short messages about a change, which survive the redirect after it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::web::cookie::CookieJar;
use serde::{Deserialize, Serialize};

use crate::{http::cookies, state::AppState};

const COOKIE: &str = "linecook_notice";

/// The lifetime of a notice: the next page shows it.
const LIFE: Duration = Duration::from_mins(1);

/// The longest text: it goes into a cookie.
const MAX_CHARS: usize = 300;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) tone: Tone,
    pub(crate) words: String,
}

/// The sort of a message. Each has a word and a shape, as not everybody sees colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tone {
    Ok,
    Info,
    Warn,
    Bad,
}

impl Tone {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "Done",
            Self::Info => "Note",
            Self::Warn => "Attention",
            Self::Bad => "Failed",
        }
    }
}

impl Notice {
    pub(crate) fn ok(words: impl Into<String>) -> Self {
        Self { tone: Tone::Ok, words: words.into() }
    }

    /// Keeps the notice for the next page.
    pub(crate) fn keep(mut self, state: &AppState, jar: &CookieJar) {
        if let Some((end, _)) = self.words.char_indices().nth(MAX_CHARS) {
            self.words.truncate(end);
        }
        let value = URL_SAFE_NO_PAD.encode(serde_json::json!(self).to_string());
        jar.add(cookies::cookie(state, COOKIE, value, LIFE));
    }

    /// Takes the notice that was kept. A cookie that is no notice is ignored.
    pub(super) fn take(state: &AppState, jar: &CookieJar) -> Option<Self> {
        let kept = cookies::read(jar, state, COOKIE)?;
        jar.add(cookies::removal(state, COOKIE));
        URL_SAFE_NO_PAD.decode(kept).ok().and_then(|json| serde_json::from_slice(&json).ok())
    }
}
