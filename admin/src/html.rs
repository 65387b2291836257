//! The building blocks of pages.

use askama::Template;
use poem::{
    IntoResponse as _, Response,
    http::{HeaderValue, StatusCode, header},
};

use crate::ApiError;

/// A link: its target and its text.
pub(crate) type Link = (&'static str, &'static str);

/// A page with a message.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    words: &'a str,
    links: &'a [(&'a str, &'a str)],
}

/// Returns a page with a message and links to continue, for responses of other modules.
pub(crate) fn message(title: &str, words: &str, links: &[(&str, &str)]) -> String {
    rendered(&Message { title, words, links })
}

/// Returns a page with a message and links to continue.
pub(crate) fn message_page(status: StatusCode, title: &str, words: &str, links: &[(&str, &str)]) -> Response {
    page(status, &Message { title, words, links })
}

/// A page with one form, which is sent to the page's own address.
#[derive(Template, Default)]
#[template(path = "form.html")]
pub(crate) struct FormPage {
    pub(crate) title: &'static str,
    pub(crate) lead: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) fields: Vec<Field>,
    /// The button's text; empty if there is nothing to send.
    pub(crate) button: &'static str,
    /// Alternative links.
    pub(crate) ways: Vec<(String, String)>,
    pub(crate) links: Vec<Link>,
}

impl FormPage {
    pub(crate) fn refused(mut self, error: &ApiError) -> Response {
        self.error = Some(error.detail().to_owned());
        page(error.status(), &self)
    }

    pub(crate) fn response(&self) -> Response {
        page(StatusCode::OK, self)
    }
}

/// A field of a form.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) label: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) autocomplete: &'static str,
    pub(crate) hint: Option<&'static str>,
    pub(crate) value: String,
}

impl Field {
    pub(crate) fn email(value: &str) -> Self {
        Self {
            label: "E-mail address",
            name: "email",
            kind: "email",
            autocomplete: "username",
            value: value.to_owned(),
            hint: None,
        }
    }

    pub(crate) fn name(value: &str) -> Self {
        Self {
            label: "Your name",
            name: "name",
            kind: "text",
            autocomplete: "name",
            value: value.to_owned(),
            hint: None,
        }
    }

    pub(crate) fn password() -> Self {
        Self {
            label: "Password",
            name: "password",
            kind: "password",
            autocomplete: "current-password",
            ..Self::default()
        }
    }

    pub(crate) fn code(hint: &'static str) -> Self {
        Self {
            label: "Code",
            name: "code",
            kind: "text",
            autocomplete: "one-time-code",
            hint: Some(hint),
            value: String::new(),
        }
    }

    pub(crate) fn new_password() -> Self {
        Self { autocomplete: "new-password", hint: Some("10 characters or more"), ..Self::password() }
    }
}

fn rendered(template: &impl Template) -> String {
    template.render().expect("writing to a string does not fail")
}

pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    poem::web::Html(rendered(template)).with_status(status).into_response()
}

/// Returns a page that leads on to another site by itself, as the response to a form. Browsers
/// would refuse a redirect: they allow it only to the targets of our forms.
pub(crate) fn onward(to: &str) -> Response {
    let mut response = message_page(StatusCode::OK, "One moment", "You are sent on.", &[(to, "Continue")]);
    if let Ok(value) = HeaderValue::from_str(&format!("0; url={to}")) {
        response.headers_mut().insert(header::REFRESH, value);
    }
    response
}

pub(crate) fn redirect(to: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, to).finish()
}
