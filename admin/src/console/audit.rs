//! The audit log: who did what, found by a filter, and a check that nobody changed it.

use chrono::{DateTime, Utc};
use jobs::{
    audit::{
        self, ChainReport,
        store::{self, EntryFilter, EntryRow},
    },
    ids::TenantId,
};
use poem::{Response, Result, handler, http::StatusCode, web::Data};
use serde::Deserialize;
use url::form_urlencoded;

use super::{
    frame::Frame,
    notice::Tone,
    visitor::Visitor,
    words::{self, Look, When},
};
use crate::{
    ApiError,
    error::ErrorCode,
    html::page,
    http::paging::{decode, encode},
    pages::Sent,
    state::AppState,
};

/// The entries on one page.
const ROWS: i64 = 50;

/// The most broken places that are shown.
const SHOWN_BREAKS: usize = 20;

#[derive(askama::Template)]
#[template(path = "console/audit.html")]
struct AuditPage {
    frame: Frame,
    asked: Asked,
    entries: Vec<Line>,
    next: Option<String>,
    verdict: Option<Verdict>,
    address: String,
    verify_address: String,
    workspace: Option<String>,
}

/// The filter, as the address has it.
#[derive(Default)]
struct Asked {
    action: String,
    actor: String,
    object: String,
}

/// An entry of the log.
struct Line {
    action: String,
    actor: String,
    /// The address of everything that the actor did.
    actor_address: String,
    object: String,
    object_address: Option<String>,
    from: String,
    when: When,
    details: String,
    place: String,
}

/// The result of a check.
struct Verdict {
    look: Look,
    words: String,
    breaks: Vec<String>,
}

impl Asked {
    fn read(visitor: &Visitor) -> Self {
        let asked = |name| visitor.asked(name).unwrap_or_default();
        Self { action: asked("action"), actor: asked("actor"), object: asked("object") }
    }

    fn values(&self) -> [(&'static str, &str); 3] {
        [("action", &self.action), ("actor", &self.actor), ("object", &self.object)]
    }

    fn is_empty(&self) -> bool {
        self.values().iter().all(|(_, value)| value.is_empty())
    }

    fn filter(&self, tenant_id: Option<TenantId>) -> Result<EntryFilter, ApiError> {
        let text = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
        let actor_id = text(&self.actor).map(|id| id.parse()).transpose();
        Ok(EntryFilter {
            tenant_id,
            action: text(&self.action),
            object_id: text(&self.object),
            actor_id: actor_id.map_err(|_| {
                ApiError::bad_request(ErrorCode::Malformed, "Choose who by a link in the list: it is an id.")
            })?,
            ..EntryFilter::default()
        })
    }

    fn after(&self, place: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.values().into_iter().filter(|(_, value)| !value.is_empty()));
        format!("/audit?{}", query.append_pair("after", place).finish())
    }
}

impl Line {
    fn of(row: EntryRow, visitor: &Visitor, now: DateTime<Utc>) -> Self {
        let audience = visitor.caller.audience();
        let of_job = row.object_type == "job";
        Self {
            action: row.action,
            actor: format!("{} ({})", row.actor_name, row.actor_kind),
            actor_address: visitor.to(&format!("/audit?actor={}", row.actor_id)),
            object_address: of_job.then(|| visitor.to(&format!("/jobs/{}", row.object_id))),
            object: format!("{} {}", words::of_name(&row.object_type), row.object_id),
            from: row.remote_address.unwrap_or_default(),
            when: When::of(row.created_at, now),
            details: format!("{:#}", audience.facts(row.details)),
            place: row.seq.map_or_else(String::new, |seq| format!("Entry {seq}")),
        }
    }
}

impl Verdict {
    fn of(report: &ChainReport) -> Self {
        let entries = words::count(i64::try_from(report.entries).unwrap_or(i64::MAX), "entry", "entries");
        if report.breaks.is_empty() {
            let words = format!("{entries} stand as they were written.");
            return Self { look: Look::of_tone(Tone::Ok, "Whole"), words, breaks: Vec::new() };
        }
        let breaks = report.breaks.iter().take(SHOWN_BREAKS);
        Self {
            look: Look::of_tone(Tone::Bad, "Broken"),
            words: format!("{entries} were read. The log was changed behind our back at these places:"),
            breaks: breaks.map(|broken| format!("Entry {}: {}", broken.seq, broken.fault)).collect(),
        }
    }
}

/// Shows it.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    Ok(page(StatusCode::OK, &shown(state, &visitor, None).await?))
}

async fn shown(state: &AppState, visitor: &Visitor, verdict: Option<Verdict>) -> Result<AuditPage, ApiError> {
    let asked = Asked::read(visitor);
    let after = visitor.asked("after").and_then(|after| decode(&after));
    let mut tx = state.db.read(visitor.scope()?).await?;
    let now = tx.now().await?;
    let filter = EntryFilter { after, ..asked.filter(visitor.workspace)? };
    let listed = store::list(&mut tx, &filter, ROWS).await?;
    drop(tx);
    Ok(AuditPage {
        frame: Frame::new(state, visitor, "Audit log").await?,
        entries: listed.entries.into_iter().map(|row| Line::of(row, visitor, now)).collect(),
        next: listed.next.map(|place| visitor.to(&asked.after(&encode(place)))),
        verdict,
        address: visitor.to("/audit"),
        verify_address: visitor.to("/audit/verify"),
        workspace: visitor.workspace.map(|id| id.to_string()),
        asked,
    })
}

/// The form has a button only.
#[derive(Deserialize)]
struct Pressed {}

/// Checks the log, and shows where it is not as it was written.
#[handler]
pub(super) async fn verify(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    Sent(Pressed {}): Sent<Pressed>,
) -> Result<Response> {
    let tenant_id = match visitor.workspace {
        Some(id) => id,
        None => visitor.caller.own_tenant()?.unwrap_or(TenantId::SYSTEM),
    };
    #[expect(clippy::disallowed_methods, reason = "it reads in many short transactions")]
    let db = state.db.unkeyed();
    let report = audit::verify_chain(db, &state.services.keyring, tenant_id).await.map_err(ApiError::from)?;
    Ok(page(StatusCode::OK, &shown(state, &visitor, Some(Verdict::of(&report))).await?))
}
