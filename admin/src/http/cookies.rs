//! Our cookies. On https their names begin with `__Host-`, so that no other host of the same domain
//! can set them.

use std::time::Duration;

use jobs::people::{known_client, sign_in::second_step, store::UserRow};
use poem::web::cookie::{Cookie, CookieJar, SameSite};

use crate::state::AppState;

/// The cookie that names a browser's session.
pub(crate) const SESSION: &str = "linecook_session";

/// The cookie of a client from which somebody signed in before.
pub(crate) const KNOWN_CLIENT: &str = "linecook_known_client";

/// The cookie that names a sign-in that waits for a code.
pub(crate) const SECOND_STEP: &str = "linecook_second_step";

/// The time for which a browser keeps the session's cookie. The session may end before.
const SESSION_LIFE: Duration = Duration::from_hours(24 * 30);

/// The time for which a client stays known.
const KNOWN_CLIENT_LIFE: Duration = Duration::from_hours(24 * 365);

/// Returns a cookie that only we read. Browsers also send it when a link on another site leads
/// here.
pub(crate) fn cookie(state: &AppState, name: &str, value: impl AsRef<str>, life: Duration) -> Cookie {
    let mut cookie = Cookie::new_with_str(full_name(state, name), value.as_ref());
    cookie.set_path("/");
    cookie.set_http_only(true);
    // Lax: links in mails and the providers' ways back are top-level navigations.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_secure(is_https(state));
    cookie.set_max_age(life.max(Duration::from_secs(1)));
    cookie
}

/// Returns a cookie that removes another one from the browser.
pub(crate) fn removal(state: &AppState, name: &str) -> Cookie {
    let mut cookie = cookie(state, name, "", Duration::ZERO);
    cookie.make_removal();
    cookie
}

/// Returns the cookie of a session.
pub(crate) fn session(state: &AppState, value: &str) -> Cookie {
    cookie(state, SESSION, value, SESSION_LIFE)
}

/// Returns a cookie that names a sign-in that waits for a code.
pub(crate) fn second_step(state: &AppState, value: &str) -> Cookie {
    cookie(state, SECOND_STEP, value, second_step::LIFE)
}

/// Returns the cookie by which this client is known for a person's account.
pub(crate) fn known_client(state: &AppState, user: &UserRow) -> Cookie {
    let code = known_client::issue(&state.services.signer, &user.email_canonical);
    cookie(state, KNOWN_CLIENT, code, KNOWN_CLIENT_LIFE)
}

/// Returns the value of a cookie of a request.
pub(crate) fn read(jar: &CookieJar, state: &AppState, name: &str) -> Option<String> {
    jar.get(&full_name(state, name)).map(|cookie| cookie.value_str().to_owned())
}

fn full_name(state: &AppState, name: &str) -> String {
    if is_https(state) { format!("__Host-{name}") } else { name.to_owned() }
}

fn is_https(state: &AppState) -> bool {
    state.public_url.starts_with("https:")
}
