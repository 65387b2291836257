//! Who did what.

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

/// Something done.
#[derive(Debug, Object)]
struct EntryView {
    id: Uuid,
    /// Whose thing it was done to; all zeros for what concerns everybody.
    tenant_id: Uuid,
    /// The place in the tenant's chain; absent for entries from before there were chains.
    seq: Option<i64>,
    /// The API key, the person or the job; all zeros for a command on the server.
    actor_id: Uuid,
    /// Which of them: key, person, command or job.
    actor_kind: String,
    /// What the key, the person or the job is called.
    actor_name: String,
    /// What was done, such as `job.retry`.
    action: String,
    /// The sort of thing it was done to.
    object_type: String,
    object_id: String,
    /// What was asked for, and what it was before and after where that matters.
    details: Value,
    /// The other end of the connection, which may be a proxy.
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
    /// What was done to a tenant's things, newest first.
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

    /// What was done to anything, newest first; what concerns everybody (queues, the window) is only here. For operators.
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
