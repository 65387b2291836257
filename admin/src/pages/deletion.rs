//! The page on which a person who wanted their data erased sees what was. Its code cannot be
//! guessed.

use chrono::{DateTime, Utc};
use jobs::connections::store::{self, DeauthorizationRow};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path},
};
use uuid::Uuid;

use crate::{ApiError, html::message_page, state::AppState};

/// The purpose of the codes.
const PURPOSE: &str = "data_deletion";

/// Returns the address of the page of a report, and its code.
pub(crate) fn deletion_url(state: &AppState, id: Uuid) -> (String, String) {
    let code = state.services.signer.code(PURPOSE, id);
    (format!("{}/data-deletion/{code}", state.public_url), code)
}

/// Shows the page.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, Path(code): Path<String>) -> Result<Response> {
    let found = async {
        let Some(id) = state.services.signer.read(PURPOSE, &code) else {
            return Ok(None);
        };
        let mut tx = state.db.unkeyed().system().await?;
        let row = store::get_deauthorization(&mut tx, id).await?;
        Ok::<_, ApiError>(row.filter(|row| row.erases_data))
    };
    Ok(match found.await {
        Ok(Some(row)) => shown(&row),
        Ok(None) => {
            let words = "There is no such request. Check that the address is complete. Requests are shown for a year.";
            message_page(StatusCode::NOT_FOUND, "Not found", words, &[])
        }
        Err(error) => message_page(error.status(), "Not shown", error.detail(), &[]),
    })
}

fn shown(row: &DeauthorizationRow) -> Response {
    let label = row.provider.known().map_or_else(|_| row.provider.0.clone(), |known| known.label().to_owned());
    let Some(ended_at) = row.ended_at else {
        let words = "Your data is being erased. This takes a minute: open this page again then.";
        return message_page(StatusCode::OK, "Being erased", words, &[]);
    };
    let words = match row.tokens_erased {
        0 => format!(
            "On {} we looked for data of your {label} account, and erased all that there was: \
                      no permission of yours was stored.",
            time(ended_at)
        ),
        tokens => format!(
            "On {} we erased the id of your {label} account and all {tokens} permissions that you had granted. \
             {} accounts are no longer connected. Posts that were published stay on {label}, where you can delete them.",
            time(ended_at),
            row.accounts_ended
        ),
    };
    message_page(StatusCode::OK, "Your data was erased", &words, &[])
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%-d %B %Y at %H:%M UTC").to_string()
}
