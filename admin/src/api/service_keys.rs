//! A tenant's own keys at OpenAI and Publer.

use chrono::{DateTime, Utc};
use jobs::{
    engine::Scope,
    ids::TenantId,
    providers::Workspace,
    service_keys::{
        self, KeyError, OwnKey, Service,
        store::{self, ServiceKeyRow},
    },
};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// A workspace that a key opens.
#[derive(Debug, Object)]
struct WorkspaceView {
    id: String,
    name: String,
}

/// A tenant's own key at a service. The key itself is never shown.
#[derive(Debug, Default, Object)]
struct ServiceKeyView {
    /// True if there is one.
    is_set: bool,
    /// The last characters of the key; empty if it is short.
    last_four: Option<String>,
    /// The time at which the service refused the key. Work that needs it waits.
    refused_at: Option<DateTime<Utc>>,
    /// The reason of the refusal.
    refusal: Option<String>,
    /// The workspaces that the key opens, for Publer.
    workspaces: Vec<WorkspaceView>,
    /// The workspace whose accounts are connected. Null: choose one.
    workspace_id: Option<String>,
    created_at: Option<DateTime<Utc>>,
}

impl From<ServiceKeyRow> for ServiceKeyView {
    fn from(row: ServiceKeyRow) -> Self {
        let workspace = |Workspace { id, name }| WorkspaceView { id, name };
        Self {
            is_set: true,
            last_four: Some(row.last_four),
            refused_at: row.refused_at,
            refusal: row.refusal,
            workspaces: row.workspaces.0.into_iter().map(workspace).collect(),
            workspace_id: row.workspace_id,
            created_at: Some(row.created_at),
        }
    }
}

/// A key of OpenAI.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewOpenaiKey {
    #[oai(validator(max_length = 512))]
    key: String,
}

/// A key of Publer, the choice of a workspace, or both.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewPublerKey {
    /// The key. Without one, the stored key is kept.
    #[oai(validator(max_length = 512))]
    key: Option<String>,
    /// The workspace whose accounts are connected. A key that opens only one needs none.
    #[oai(validator(max_length = 100))]
    workspace_id: Option<String>,
}

/// The response to a removal.
#[derive(ApiResponse)]
enum Removed {
    /// There is no key any more.
    #[oai(status = 204)]
    Removed,
}

pub(crate) struct ServiceKeysApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl ServiceKeysApi {
    /// Get the tenant's own key of OpenAI, without the key itself.
    #[oai(path = "/tenants/:id/openai", method = "get", operation_id = "get_openai_key")]
    async fn get_openai(
        &self,
        #[oai(scope = "Needs::TenantsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<ServiceKeyView>, ApiError> {
        self.get(caller.tenant(id.0)?, Service::Openai).await
    }

    /// Set the tenant's own key of OpenAI.
    ///
    /// It is checked by one call, and stored encrypted. AI then writes with it in place of the
    /// platform's, and work that waited for another key goes on.
    #[oai(path = "/tenants/:id/openai", method = "put", operation_id = "put_openai_key")]
    async fn put_openai(
        &self,
        #[oai(scope = "Needs::TenantsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<NewOpenaiKey>,
    ) -> Result<Answered<Json<ServiceKeyView>>, ApiError> {
        let (id, services) = (self.tenant(&caller, id.0).await?, &self.state.services);
        let key = OwnKey::parse(&body.key)?;
        service_keys::check_openai(services, &key).await?;
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        let row = service_keys::put_openai(&mut tx, services, caller.actor(), id, &key).await?;
        tx.answer(Json(row.into())).await
    }

    /// Remove the tenant's own key of OpenAI.
    ///
    /// AI then writes with the platform's key again.
    #[oai(path = "/tenants/:id/openai", method = "delete", operation_id = "delete_openai_key")]
    async fn delete_openai(
        &self,
        #[oai(scope = "Needs::TenantsWrite")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Removed>, ApiError> {
        self.delete(&caller, id.0, Service::Openai).await
    }

    /// Get the tenant's own key of Publer, without the key itself.
    #[oai(path = "/tenants/:id/publer", method = "get", operation_id = "get_publer_key")]
    async fn get_publer(
        &self,
        #[oai(scope = "Needs::TenantsRead")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<ServiceKeyView>, ApiError> {
        self.get(caller.tenant(id.0)?, Service::Publer).await
    }

    /// Set the tenant's own key of Publer, or choose its workspace.
    ///
    /// A key is checked by one call, which lists its workspaces, and stored encrypted. The accounts
    /// of the chosen workspace are connected by a job. If the key opens one workspace, that one is
    /// chosen.
    #[oai(path = "/tenants/:id/publer", method = "put", operation_id = "put_publer_key")]
    async fn put_publer(
        &self,
        #[oai(scope = "Needs::TenantsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<NewPublerKey>,
    ) -> Result<Answered<Json<ServiceKeyView>>, ApiError> {
        let (id, services) = (self.tenant(&caller, id.0).await?, &self.state.services);
        let key = body.key.as_deref().map(OwnKey::parse).transpose()?;
        let workspaces = match &key {
            Some(key) => service_keys::check_publer(services, key).await?,
            None => Vec::new(),
        };
        let chosen = body.workspace_id.as_deref();
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        let row = match (&key, chosen) {
            (Some(key), _) => {
                let new = (key, workspaces.as_slice(), chosen);
                Some(service_keys::put_publer(&mut tx, services, caller.actor(), id, new).await?)
            }
            (None, Some(chosen)) => {
                service_keys::choose_workspace(&mut tx, services, caller.actor(), id, chosen).await?
            }
            (None, None) => {
                return Err(ApiError::unprocessable(ErrorCode::NoChange, "Send key, workspace_id or both."));
            }
        };
        tx.answer(Json(row.ok_or_else(|| ApiError::not_found("key"))?.into())).await
    }

    /// Remove the tenant's own key of Publer.
    ///
    /// The accounts that it opened are disconnected, and their tokens are erased. The key itself
    /// can only be deleted at Publer.
    #[oai(path = "/tenants/:id/publer", method = "delete", operation_id = "delete_publer_key")]
    async fn delete_publer(
        &self,
        #[oai(scope = "Needs::TenantsWrite")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Removed>, ApiError> {
        self.delete(&caller, id.0, Service::Publer).await
    }
}

impl ServiceKeysApi {
    /// Returns a tenant that exists, before anything is asked of a service.
    async fn tenant(&self, caller: &Caller, id: Uuid) -> Result<TenantId, ApiError> {
        let id = caller.tenant(id)?;
        require_tenant(&mut *self.state.db.read(Scope::Tenant(id)).await?, id).await?;
        Ok(id)
    }

    async fn get(&self, id: TenantId, service: Service) -> Result<Json<ServiceKeyView>, ApiError> {
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let row = store::get(&mut tx, id, service).await?;
        Ok(Json(row.map(ServiceKeyView::from).unwrap_or_default()))
    }

    async fn delete(&self, caller: &Caller, id: Uuid, service: Service) -> Result<Answered<Removed>, ApiError> {
        let id = caller.tenant(id)?;
        let mut tx = self.state.db.write(Scope::Tenant(id), caller).await?;
        require_tenant(&mut tx, id).await?;
        service_keys::delete(&mut tx, &self.state.services, caller.actor(), id, service).await?;
        tx.answer(Removed::Removed).await
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let refused = |detail: String| Self::unprocessable(ErrorCode::BadKey, detail);
        match error {
            KeyError::Malformed => refused(format!("key: {error}. Copy the whole key.")),
            KeyError::Refused(service) => {
                refused(format!("{} refuses the key: copy it again, or make a new one there.", service.label()))
            }
            KeyError::Narrow(service) => refused(format!(
                "The key lacks permissions at {}: make one there that may do everything.",
                service.label()
            )),
            KeyError::NoWorkspace => {
                refused("The key opens no workspace: make one in the account of a workspace.".to_owned())
            }
            KeyError::OtherWorkspace => {
                refused("The key does not open that workspace: choose one that it opens.".to_owned())
            }
            KeyError::NoAnswer(service) => Self::unavailable(&format!("service {}", service.label()), error),
            KeyError::MissingTenant => Self::not_found("tenant"),
            KeyError::NotOffered(error) => error.into(),
            KeyError::Enqueue(error) => error.into(),
            KeyError::Database(error) => error.into(),
        }
    }
}
