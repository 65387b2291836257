//! The cookie that signs a browser in.

use std::time::Duration;

use poem::web::cookie::{Cookie, SameSite};

use crate::{auth::SESSION_COOKIE, state::AppState};

/// How long a browser keeps the cookie; the session may end before.
const COOKIE_LIFE: Duration = Duration::from_hours(24 * 30);

/// A cookie that holds a session.
pub(super) fn session_cookie(state: &AppState, value: String) -> Cookie {
    let mut cookie = Cookie::new_with_str(SESSION_COOKIE, value);
    cookie.set_path("/");
    cookie.set_http_only(true);
    // Lax: links in mails and the providers' ways back lead here signed in.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_secure(state.public_url.starts_with("https:"));
    cookie.set_max_age(COOKIE_LIFE);
    cookie
}
