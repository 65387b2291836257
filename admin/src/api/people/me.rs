//! The operations of people about themselves.

use chrono::{DateTime, Utc};
use jobs::{
    engine::{Scope, Tx},
    people::{
        self, LeaveError, sessions,
        store::{self, UserPatch},
    },
    tenants::members,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, jobs::Accepted, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::{Body, Named},
    state::AppState,
};

/// A tenant with the person's role in it.
#[derive(Debug, Object)]
struct MembershipView {
    tenant_id: Uuid,
    name: String,
    /// `owner`, `admin` or `member`.
    role: String,
    /// True if the tenant lets this session in only with a second factor, which was not given.
    needs_second_factor: bool,
}

/// A person.
#[derive(Debug, Object)]
struct MeView {
    id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    picture_url: Option<String>,
    /// The role of a member of staff: `read_only` or `full`.
    operator_role: Option<String>,
    /// The tenant of requests that name none.
    current_tenant_id: Option<Uuid>,
    /// True if the role as an operator, or one of the tenants, requires a second factor that
    /// this session was not given.
    needs_second_factor: bool,
    tenants: Vec<MembershipView>,
    created_at: DateTime<Utc>,
}

/// Changes to a person's profile. Absent fields stay as they are.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct MePatch {
    first_name: Option<Named<1, 100>>,
    /// An empty text removes it.
    last_name: Option<Named<0, 100>>,
    /// The address of a picture, https://...; an empty text removes it.
    #[oai(validator(max_length = 2000, pattern = "^(https://[^\\s]+)?$"))]
    picture_url: Option<String>,
}

pub(crate) struct MeApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::People")]
impl MeApi {
    /// Get the person who is signed in.
    #[oai(path = "/auth/me", method = "get", operation_id = "get_me")]
    async fn get(&self, #[oai(scope = "Needs::Person")] caller: Caller) -> Result<Json<MeView>, ApiError> {
        let mut tx = self.state.db.read(Scope::System).await?;
        let me = view(&mut tx, &caller).await?;
        Ok(Json(me))
    }

    /// Change one's own profile.
    #[oai(path = "/auth/me", method = "patch", operation_id = "update_me")]
    async fn update(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        body: Body<MePatch>,
    ) -> Result<Answered<Json<MeView>>, ApiError> {
        let person = caller.person()?;
        let MePatch { first_name, last_name, picture_url } = body.0;
        let (first_name, last_name) = (first_name.map(|name| name.0.into()), last_name.map(|name| name.0.into()));
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        store::update(&mut tx, person.user_id, &UserPatch { first_name, last_name, picture_url }).await?;
        let me = view(&mut tx, &caller).await?;
        tx.answer(Json(me)).await
    }

    /// Erase one's own account, and the tenants that nobody else is in.
    ///
    /// A job erases them. This cannot be undone. If the person is the last owner of a tenant with
    /// other people, one of those has to become an owner first.
    #[oai(path = "/auth/me", method = "delete", operation_id = "delete_me")]
    async fn delete(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        /// The person's own email address, to confirm.
        confirm: Query<String>,
    ) -> Result<Answered<Accepted>, ApiError> {
        let (person, services) = (caller.person()?, &self.state.services);
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        let job = people::leave(&mut tx, services, caller.actor(), person.user_id, &confirm).await?;
        tx.answer(Accepted::job(job.id, job.is_new, 1)).await
    }

    /// Switch to another tenant.
    ///
    /// From then on it is the tenant of requests that name none. The header `Linecook-Tenant` names
    /// a tenant for a single request.
    #[oai(path = "/tenants/:id/switch", method = "post", operation_id = "switch_tenant")]
    async fn switch(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Json<MeView>>, ApiError> {
        let (person, tenant_id) = (caller.person()?, caller.tenant(id.0)?);
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        require_tenant(&mut tx, tenant_id).await?;
        store::switch(&mut tx, person.user_id, tenant_id).await?;
        let me = view(&mut tx, &caller).await?;
        tx.answer(Json(me)).await
    }
}

async fn view(tx: &mut Tx, caller: &Caller) -> Result<MeView, ApiError> {
    let person = caller.person()?;
    let user = store::get(tx, person.user_id).await?.ok_or_else(ApiError::unauthorized)?;
    let (signed_in, _) =
        sessions::find(tx, sessions::Named::Id(person.session_id)).await?.ok_or_else(ApiError::unauthorized)?;
    let tenants = members::list_of_user(tx, person.user_id).await?;
    Ok(MeView {
        id: user.id.0,
        email: user.email,
        first_name: user.first_name,
        last_name: user.last_name,
        picture_url: user.picture_url,
        operator_role: user.operator_role.map(|role| role.name().to_owned()),
        current_tenant_id: signed_in.current.map(|id| id.0),
        needs_second_factor: signed_in.needs_second_factor(),
        tenants: tenants
            .into_iter()
            .map(|tenant| MembershipView {
                tenant_id: tenant.tenant_id.0,
                name: tenant.name,
                role: tenant.role.name().to_owned(),
                needs_second_factor: signed_in.barred.contains(&tenant.tenant_id),
            })
            .collect(),
        created_at: user.created_at,
    })
}

impl From<LeaveError> for ApiError {
    fn from(error: LeaveError) -> Self {
        match error {
            LeaveError::Missing => Self::unauthorized(),
            LeaveError::NotConfirmed => {
                Self::unprocessable(ErrorCode::NotConfirmed, "confirm: it should be your own email address.")
            }
            LeaveError::LastOwner => Self::last_owner(),
            LeaveError::Enqueue(error) => error.into(),
            LeaveError::Database(error) => error.into(),
        }
    }
}
