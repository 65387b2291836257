//! The audit log.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jobs::{
    audit::{
        self, Break, Report,
        store::{self, EntryRow, Search},
    },
    engine::Scope,
    ids::TenantId,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, require_tenant},
    auth::{Audience, Caller, Needs},
    http::paging::{Listed, Page, Paging},
    state::AppState,
};

/// An entry of the audit log.
#[derive(Debug, Object)]
struct EntryView {
    id: Uuid,
    /// The tenant that the entry is about; all zeros if it concerns all tenants.
    tenant_id: Uuid,
    /// The entry's position in the tenant's chain. Absent in entries that are older than the
    /// chains.
    seq: Option<i64>,
    /// The id of the API key, the person or the job; all zeros for a command on the server.
    actor_id: Uuid,
    /// The kind of actor: key, person, command or job.
    actor_kind: String,
    /// The name of the key, the person or the job.
    actor_name: String,
    /// The action, such as `job.retry`.
    action: String,
    /// The type of the object that was changed.
    object_type: String,
    object_id: String,
    /// Details of the action: the request, and the values before and after if they matter.
    details: Value,
    /// The address at the other end of the connection, which may be a proxy.
    remote_address: Option<String>,
    created_at: DateTime<Utc>,
}

impl EntryView {
    fn of(row: EntryRow, audience: Audience) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id.0,
            seq: row.seq,
            actor_id: row.actor_id,
            actor_kind: row.actor_kind,
            actor_name: row.actor_name,
            action: row.action,
            object_type: row.object_type,
            object_id: row.object_id,
            details: audience.facts(row.details),
            remote_address: row.remote_address,
            created_at: row.created_at,
        }
    }
}

impl Listed for EntryView {
    const PAGE: &'static str = "EntryPage";
    const DESCRIPTION: &'static str = "A page of entries.";
}

/// The most verifications that run at once: each reads whole chains.
static VERIFICATIONS: Semaphore = Semaphore::const_new(2);

/// The longest time of a verification. `admin verify-audit` has no limit.
const LONGEST_VERIFICATION: Duration = Duration::from_secs(30);

/// The most faulty places that a verification lists.
const MAX_LISTED: usize = 100;

/// A place where the log is not as it was written.
#[derive(Debug, Object)]
struct BreakView {
    /// The tenant of the chain; all zeros for the operators' chain.
    tenant_id: Uuid,
    /// The place in the chain.
    seq: i64,
    /// The fault, in words.
    fault: String,
}

/// The result of a verification.
#[derive(Debug, Object)]
struct VerificationView {
    /// True if every entry is as it was written.
    is_whole: bool,
    /// The number of entries that were read.
    entries: u64,
    /// The number of faulty places.
    breaks: u64,
    /// The first faulty places, 100 at most.
    items: Vec<BreakView>,
}

impl VerificationView {
    fn of((report, breaks): (Report, Vec<Break>)) -> Self {
        let place = |Break { tenant_id, seq, fault }: Break| BreakView {
            tenant_id: tenant_id.0,
            seq,
            fault: fault.to_string(),
        };
        Self {
            is_whole: report.breaks == 0,
            entries: report.entries,
            breaks: report.breaks,
            items: breaks.into_iter().map(place).collect(),
        }
    }
}

/// Verifies the chain of one tenant, or all chains.
#[expect(clippy::disallowed_methods, reason = "it reads in short transactions of its own")]
pub(crate) async fn verify(state: &AppState, tenant_id: Option<TenantId>) -> Result<(Report, Vec<Break>), ApiError> {
    let _turn = VERIFICATIONS.try_acquire().map_err(|_| ApiError::busy())?;
    let mut breaks = Vec::new();
    let mut tell = |broken: &Break| {
        if breaks.len() < MAX_LISTED {
            breaks.push(broken.clone());
        }
    };
    let (db, keyring) = (state.db.unkeyed(), &state.services.keyring);
    let verified = async {
        match tenant_id {
            Some(id) => audit::verify_tenant(db, keyring, id, &mut tell).await,
            None => audit::verify(db, keyring, None, &mut tell).await,
        }
    };
    let report = tokio::time::timeout(LONGEST_VERIFICATION, verified).await;
    let report = report.map_err(|_| ApiError::took_too_long())??;
    Ok((report, breaks))
}

fn page(mut rows: Vec<EntryRow>, paging: Paging, audience: Audience) -> Page<EntryView> {
    let next = paging.next(&mut rows, |row| (row.created_at, row.id));
    Page { items: rows.into_iter().map(|row| EntryView::of(row, audience)).collect(), next }
}

pub(crate) struct AuditApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Audit")]
impl AuditApi {
    /// List the audit log of a tenant, newest first.
    #[oai(path = "/tenants/:id/audit-log", method = "get", operation_id = "list_audit_log")]
    async fn of_tenant(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
        id: Path<Uuid>,
        /// The beginning of the action: `job.` finds all actions on jobs.
        #[oai(validator(max_length = 100))]
        action: Query<Option<String>>,
        /// A part of the actor's name, or the actor's id.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// The id of the object that was changed.
        #[oai(validator(max_length = 200))]
        object: Query<Option<String>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<EntryView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let search = Search { action: action.0, actor: actor.0, object: object.0 };
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let rows = store::list(&mut tx, Some(id), &search, paging.after, paging.rows()).await?;
        Ok(Json(page(rows, paging, caller.audience())))
    }

    /// Verify the audit log of a tenant.
    ///
    /// Reads every entry, and lists the places where the log is not as it was written.
    #[oai(path = "/tenants/:id/audit-log/verification", method = "get", operation_id = "verify_audit_log")]
    async fn verify_of_tenant(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<VerificationView>, ApiError> {
        let id = caller.tenant(id.0)?;
        Ok(Json(VerificationView::of(verify(&self.state, Some(id)).await?)))
    }

    /// Verify the whole audit log.
    ///
    /// Reads every entry of every chain. For operators.
    #[oai(path = "/audit-log/verification", method = "get", operation_id = "verify_whole_audit_log")]
    async fn verify_whole(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
    ) -> Result<Json<VerificationView>, ApiError> {
        caller.operator()?;
        Ok(Json(VerificationView::of(verify(&self.state, None).await?)))
    }

    /// List the whole audit log, newest first.
    ///
    /// Entries that concern all tenants (queues, the window) are only here. For operators.
    #[oai(path = "/audit-log", method = "get", operation_id = "list_whole_audit_log")]
    async fn whole(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
        /// The beginning of the action: `job.` finds all actions on jobs.
        #[oai(validator(max_length = 100))]
        action: Query<Option<String>>,
        /// A part of the actor's name, or the actor's id.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        /// The id of the object that was changed.
        #[oai(validator(max_length = 200))]
        object: Query<Option<String>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<EntryView>>, ApiError> {
        caller.operator()?;
        let paging = Paging::read(&after, &limit)?;
        let search = Search { action: action.0, actor: actor.0, object: object.0 };
        let mut tx = self.state.db.read(Scope::System).await?;
        let rows = store::list(&mut tx, None, &search, paging.after, paging.rows()).await?;
        Ok(Json(page(rows, paging, caller.audience())))
    }
}
