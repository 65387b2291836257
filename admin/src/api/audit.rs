//! The audit log.

use chrono::{DateTime, Utc};
use jobs::{
    audit::{
        self, ChainReport, VerifyError,
        store::{self, EntryFilter, EntryPage, EntryRow},
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
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, require_tenant},
    auth::{Audience, Caller, Needs},
    error::ErrorCode,
    http::paging::{Listed, Page, Paging, encode},
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

fn page(page: EntryPage, audience: Audience) -> Page<EntryView> {
    let items = page.entries.into_iter().map(|row| EntryView::of(row, audience)).collect();
    Page { items, next: page.next.map(|place| encode(&place)) }
}

/// A place where a chain is not as it was written.
#[derive(Debug, Object)]
struct BreakView {
    /// The number of the entry.
    seq: i64,
    /// The fault, in words.
    fault: String,
}

/// The result of the verification of a chain.
#[derive(Debug, Object)]
struct VerificationView {
    /// True if every entry up to the end of the chain is as it was written.
    is_whole: bool,
    /// The number of entries in the chain.
    entries: u64,
    /// The number of entries from before there were chains. They cannot be verified.
    of_before: u64,
    /// The faulty places in order, a thousand at most.
    breaks: Vec<BreakView>,
}

impl From<ChainReport> for VerificationView {
    fn from(report: ChainReport) -> Self {
        let breaks = report.breaks.into_iter();
        let breaks: Vec<BreakView> =
            breaks.map(|broken| BreakView { seq: broken.seq, fault: broken.fault.to_string() }).collect();
        Self { is_whole: breaks.is_empty(), entries: report.entries, of_before: report.of_before, breaks }
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::TooLong(entries) => Self::conflict(
                ErrorCode::ChainTooLong,
                format!("The chain has {entries} entries, too many for a request: run `admin verify-audit`."),
            ),
            VerifyError::Database(error) => error.into(),
        }
    }
}

pub(crate) struct AuditApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Audit")]
impl AuditApi {
    /// List the audit log of a tenant, newest first.
    ///
    /// Indexes serve `object_id`, `actor_id` and the times. For the other filters a page searches
    /// 20,000 entries at most: it may hold few or none and still have a `next`.
    #[oai(path = "/tenants/:id/audit-log", method = "get", operation_id = "list_audit_log")]
    #[expect(clippy::too_many_arguments, reason = "one a filter")]
    async fn of_tenant(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
        id: Path<Uuid>,
        /// Entries whose action begins like this, such as `job.`.
        #[oai(validator(max_length = 100))]
        action: Query<Option<String>>,
        #[oai(validator(max_length = 100))] object_type: Query<Option<String>>,
        #[oai(validator(max_length = 200))] object_id: Query<Option<String>>,
        actor_id: Query<Option<Uuid>>,
        /// Entries of this time or later.
        since: Query<Option<DateTime<Utc>>>,
        /// Entries from before this time.
        until: Query<Option<DateTime<Utc>>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<EntryView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let filter = EntryFilter {
            tenant_id: Some(id),
            action: action.0,
            object_type: object_type.0,
            object_id: object_id.0,
            actor_id: actor_id.0,
            since: since.0,
            until: until.0,
            after: paging.after,
        };
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        Ok(Json(page(store::list(&mut tx, &filter, paging.limit).await?, caller.audience())))
    }

    /// List the whole audit log, newest first.
    ///
    /// Entries that concern all tenants (queues, the window) are only here. The filters are those
    /// of a tenant's log. For operators.
    #[oai(path = "/audit-log", method = "get", operation_id = "list_whole_audit_log")]
    #[expect(clippy::too_many_arguments, reason = "one a filter")]
    async fn whole(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
        /// Entries whose action begins like this, such as `job.`.
        #[oai(validator(max_length = 100))]
        action: Query<Option<String>>,
        #[oai(validator(max_length = 100))] object_type: Query<Option<String>>,
        #[oai(validator(max_length = 200))] object_id: Query<Option<String>>,
        actor_id: Query<Option<Uuid>>,
        /// Entries of this time or later.
        since: Query<Option<DateTime<Utc>>>,
        /// Entries from before this time.
        until: Query<Option<DateTime<Utc>>>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<EntryView>>, ApiError> {
        caller.operator()?;
        let paging = Paging::read(&after, &limit)?;
        let filter = EntryFilter {
            tenant_id: None,
            action: action.0,
            object_type: object_type.0,
            object_id: object_id.0,
            actor_id: actor_id.0,
            since: since.0,
            until: until.0,
            after: paging.after,
        };
        let mut tx = self.state.db.read(Scope::System).await?;
        Ok(Json(page(store::list(&mut tx, &filter, paging.limit).await?, caller.audience())))
    }

    /// Verify the chain of a tenant's audit log.
    ///
    /// Finds entries that were changed, removed, moved or forged. `admin verify-audit` also compares
    /// the ends of all chains with the operators' chain, and verifies chains of over 100,000 entries
    /// (409 `chain_too_long` here).
    #[oai(path = "/tenants/:id/audit-log/verification", method = "get", operation_id = "verify_audit_log")]
    async fn verify(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<VerificationView>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        drop(tx);
        self.verified(id).await
    }

    /// Verify the operators' chain of the audit log.
    ///
    /// It has the entries that concern all tenants. See `verify_audit_log`. For operators.
    #[oai(path = "/audit-log/verification", method = "get", operation_id = "verify_operators_audit_log")]
    async fn verify_operators(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
    ) -> Result<Json<VerificationView>, ApiError> {
        caller.operator()?;
        self.verified(TenantId::SYSTEM).await
    }
}

impl AuditApi {
    async fn verified(&self, tenant_id: TenantId) -> Result<Json<VerificationView>, ApiError> {
        #[expect(clippy::disallowed_methods, reason = "it reads in many short transactions")]
        let db = self.state.db.unkeyed();
        let report = audit::verify_chain(db, &self.state.services.keyring, tenant_id).await?;
        Ok(Json(report.into()))
    }
}
