//! The theme: light, dark, or the system's. It is in a cookie that the server reads, so no page
//! flashes in the wrong colours.

use std::{str::FromStr, time::Duration};

use poem::{Endpoint, Request, Response, http::header, web::cookie::CookieJar};

use crate::{http::cookies, state::AppState};

const COOKIE: &str = "linecook_theme";
const COOKIE_LIFE: Duration = Duration::from_hours(24 * 365);

tokio::task_local! {
    static CURRENT: Theme;
}

/// The theme that a visitor chose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::System => "As the system",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    fn of(request: &Request) -> Self {
        // Error pages are made outside the layer that reads cookies.
        let lines = request.headers().get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        // On https the name has a prefix.
        let chosen = cookies.find(|(name, _)| name.trim_start_matches("__Host-") == COOKIE);
        chosen.and_then(|(_, name)| name.parse().ok()).unwrap_or_default()
    }

    /// Keeps the theme in the browser.
    pub(super) fn keep(self, state: &AppState, jar: &CookieJar) {
        jar.add(match self {
            Self::System => cookies::removal(state, COOKIE),
            Self::Light | Self::Dark => cookies::cookie(state, COOKIE, self.name(), COOKIE_LIFE),
        });
    }
}

impl FromStr for Theme {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|theme| theme.name() == name).ok_or(())
    }
}

/// Returns the theme of the page that is being rendered.
pub(crate) fn current() -> Theme {
    CURRENT.try_with(|theme| *theme).unwrap_or_default()
}

/// Renders pages in the theme that the browser keeps.
pub(crate) async fn remembered<E: Endpoint>(endpoint: E, request: Request) -> poem::Result<Response> {
    let theme = Theme::of(&request);
    let answer = CURRENT.scope(theme, endpoint.call(request));
    answer.await.map(poem::IntoResponse::into_response)
}

/// Renders a page outside the layer that knows the theme.
pub(super) fn rendered_in(theme: Theme, render: impl FnOnce() -> Response) -> Response {
    CURRENT.sync_scope(theme, render)
}

/// Returns the theme in the cookie of a request.
pub(super) fn asked(request: &Request) -> Theme {
    Theme::of(request)
}
