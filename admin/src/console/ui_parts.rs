//! One page with every part of pages, to look at and for the tests. In development only.

use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, cookie::CookieJar},
};
use serde::Deserialize;

use super::{
    frame::Frame,
    notice::{Notice, Tone},
    parts::{Field, Refused},
    visitor::Visitor,
};
use crate::{
    html::{page, redirect},
    pages::Sent,
    state::AppState,
};

#[derive(askama::Template)]
#[template(path = "console/ui_parts.html")]
struct UiParts {
    frame: Frame,
    field: Field,
    wrong: Field,
    refused: Refused,
    tones: [Tone; 4],
    address: String,
}

impl UiParts {
    fn new(frame: Frame, visitor: &Visitor) -> Self {
        let wrong = Field::text("wrong", "A field with an error", "Not that");
        Self {
            frame,
            field: Field::text("words", "A field", "").hinted("What it is for").at_most(100).required(),
            wrong: Field { error: Some("Say what is wrong and what to do.".to_owned()), ..wrong },
            refused: Refused { title: "It was not saved", words: "Correct what is marked.".to_owned() },
            tones: [Tone::Ok, Tone::Info, Tone::Warn, Tone::Bad],
            address: visitor.to("/ui-parts"),
        }
    }
}

/// Shows the parts.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    let frame = Frame::new(state, &visitor, "Parts").await?;
    Ok(page(StatusCode::OK, &UiParts::new(frame, &visitor)))
}

#[derive(Deserialize)]
struct Form {
    words: String,
}

/// Shows the values that were sent.
#[handler]
pub(super) fn submit(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(form): Sent<Form>,
) -> Response {
    Notice::ok(format!("You sent: {}", form.words)).keep(state, cookies);
    let there = visitor;
    redirect(&there.to("/ui-parts"))
}
