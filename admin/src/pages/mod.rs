//! The few pages that browsers see: signing up and in, and what links in mails lead to.

mod external_login;
mod links;
mod sign_in;
mod sign_up;

use askama::Template;
use poem::{
    FromRequest, IntoResponse as _, Request, RequestBody, Response, Result, Route, get,
    http::{StatusCode, header},
    post,
    web::Form,
};
use serde::de::DeserializeOwned;

use crate::{ApiError, auth, state::AppState};

/// A link: where to, and what it says.
type Link = (&'static str, &'static str);

/// Adds the pages.
pub(crate) fn add_to(route: Route) -> Route {
    route
        .at("/home", get(sign_in::home))
        .at("/sign-in", get(sign_in::show).post(sign_in::submit))
        .at("/sign-in/:provider", get(external_login::begin))
        .at("/sign-in/:provider/callback", get(external_login::callback))
        .at("/sign-out", post(sign_in::sign_out))
        .at("/sign-up", get(sign_up::show).post(sign_up::submit))
        .at("/forgot-password", get(sign_up::show_forgot).post(sign_up::submit_forgot))
        .at("/verify-email/:code", get(links::show_verify).post(links::submit_verify))
        .at("/reset-password/:code", get(links::show_reset).post(links::submit_reset))
        .at("/invitations/:code", get(links::show_invitation).post(links::submit_invitation))
}

/// A page with a message.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    words: &'a str,
    links: &'a [Link],
}

/// A page with a message and nothing else, for the answers of other modules.
pub(crate) fn message(title: &str, words: &str) -> String {
    rendered(&Message { title, words, links: &[] })
}

/// A page with a message and where to go on.
fn message_page(status: StatusCode, title: &str, words: &str, links: &[Link]) -> Response {
    page(status, &Message { title, words, links })
}

/// A page with one form, which goes back to where it came from.
#[derive(Template, Default)]
#[template(path = "form.html")]
struct FormPage {
    title: &'static str,
    lead: Option<String>,
    error: Option<String>,
    fields: Vec<Field>,
    button: &'static str,
    /// Other ways to the same end.
    ways: Vec<(String, String)>,
    links: Vec<Link>,
}

impl FormPage {
    fn refused(mut self, error: &ApiError) -> Response {
        self.error = Some(error.detail().to_owned());
        page(error.status(), &self)
    }

    fn response(&self) -> Response {
        page(StatusCode::OK, self)
    }
}

/// A field to fill in.
#[derive(Default)]
struct Field {
    label: &'static str,
    name: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    hint: Option<&'static str>,
    value: String,
}

impl Field {
    fn email(value: &str) -> Self {
        Self {
            label: "E-mail address",
            name: "email",
            kind: "email",
            autocomplete: "username",
            value: value.to_owned(),
            hint: None,
        }
    }

    fn name(value: &str) -> Self {
        Self {
            label: "Your name",
            name: "name",
            kind: "text",
            autocomplete: "name",
            value: value.to_owned(),
            hint: None,
        }
    }

    fn password() -> Self {
        Self {
            label: "Password",
            name: "password",
            kind: "password",
            autocomplete: "current-password",
            ..Self::default()
        }
    }

    fn new_password() -> Self {
        Self { autocomplete: "new-password", hint: Some("10 characters or more"), ..Self::password() }
    }
}

fn rendered(template: &impl Template) -> String {
    template.render().expect("writing to a string does not fail")
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    poem::web::Html(rendered(template)).with_status(status).into_response()
}

fn redirect(to: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, to).finish()
}

/// What a form of ours sent. What another site's page sends is refused: browsers say where it comes from.
struct Sent<T>(T);

impl<'a, T: DeserializeOwned> FromRequest<'a> for Sent<T> {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        let state = request.data::<AppState>();
        if !state.is_some_and(|state| auth::is_ours(request, &state.public_url)) {
            return Err(ApiError::foreign_form().into());
        }
        let Form(sent) = Form::<T>::from_request(request, body).await?;
        Ok(Self(sent))
    }
}
