//! The audit log.

use chrono::{DateTime, Utc};
use jobs::{
    audit::store::{self, EntryRow},
    engine::Scope,
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
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<EntryView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let rows = store::list(&mut tx, Some(id), paging.after, paging.rows()).await?;
        Ok(Json(page(rows, paging, caller.audience())))
    }

    /// List the whole audit log, newest first.
    ///
    /// Entries that concern all tenants (queues, the window) are only here. For operators.
    #[oai(path = "/audit-log", method = "get", operation_id = "list_whole_audit_log")]
    async fn whole(
        &self,
        #[oai(scope = "Needs::AuditRead")] caller: Caller,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<EntryView>>, ApiError> {
        caller.operator()?;
        let paging = Paging::read(&after, &limit)?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let rows = store::list(&mut tx, None, paging.after, paging.rows()).await?;
        Ok(Json(page(rows, paging, caller.audience())))
    }
}
