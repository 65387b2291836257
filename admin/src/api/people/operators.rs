//! The operators: staff of the installation.

use chrono::{DateTime, Utc};
use jobs::{
    engine::{Scope, Tx},
    ids::{TenantId, UserId},
    people::{
        OperatorRole,
        operators::{self, NewOperator, OperatorError},
        store::{self, OperatorRow},
    },
};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, people::address},
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::{
        Body,
        paging::{Listed, Page, Paging},
    },
    state::AppState,
};

/// The role of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "OperatorRole", rename_all = "snake_case")]
enum RoleName {
    /// Reads everything and changes nothing.
    ReadOnly,
    /// Does everything.
    Full,
}

impl From<RoleName> for OperatorRole {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::ReadOnly => Self::ReadOnly,
            RoleName::Full => Self::Full,
        }
    }
}

impl From<OperatorRole> for RoleName {
    fn from(role: OperatorRole) -> Self {
        match role {
            OperatorRole::ReadOnly => Self::ReadOnly,
            OperatorRole::Full => Self::Full,
        }
    }
}

/// An operator.
#[derive(Debug, Object)]
struct OperatorView {
    user_id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    role: RoleName,
    /// True until the person has chosen a password or confirmed the address.
    is_pending: bool,
    /// The time at which the person's account was made.
    created_at: DateTime<Utc>,
}

impl From<OperatorRow> for OperatorView {
    fn from(row: OperatorRow) -> Self {
        Self {
            user_id: row.user_id.0,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            role: row.role.into(),
            is_pending: row.is_pending,
            created_at: row.created_at,
        }
    }
}

impl Listed for OperatorView {
    const PAGE: &'static str = "OperatorPage";
    const DESCRIPTION: &'static str = "A page of operators.";
}

/// A person to make an operator.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewOperatorBody {
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    email: String,
    /// The person's name, if there is no account with that address.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    role: RoleName,
}

/// Another role.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct OperatorPatch {
    role: RoleName,
}

#[derive(ApiResponse)]
enum Invited {
    /// The person is an operator.
    #[oai(status = 201)]
    Invited(Json<OperatorView>),
}

#[derive(ApiResponse)]
enum Removed {
    /// The person is no operator any more.
    #[oai(status = 204)]
    Removed,
}

pub(crate) struct OperatorsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::People")]
impl OperatorsApi {
    /// List the operators, newest first.
    ///
    /// Operators' keys are in `GET /api-keys`. For operators.
    #[oai(path = "/operators", method = "get", operation_id = "list_operators")]
    async fn list(
        &self,
        #[oai(scope = "Needs::OperatorsRead")] caller: Caller,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<OperatorView>>, ApiError> {
        caller.operator()?;
        let paging = Paging::read(&after, &limit)?;
        let mut tx = self.state.db.read(Scope::System).await?;
        let mut rows = store::list_operators(&mut tx, paging.after, paging.rows()).await?;
        let next = paging.next(&mut rows, |row| (row.created_at, row.user_id.0));
        Ok(Json(Page { items: rows.into_iter().map(OperatorView::from).collect(), next }))
    }

    /// Make a person an operator.
    ///
    /// Somebody without an account gets a mail with a link to choose a password, which is valid for
    /// a day. Others sign in as before. For operators whose own role may do as much.
    #[oai(path = "/operators", method = "post", operation_id = "create_operator")]
    async fn invite(
        &self,
        #[oai(scope = "Needs::OperatorsWrite")] caller: Caller,
        body: Body<NewOperatorBody>,
    ) -> Result<Answered<Invited>, ApiError> {
        let role = body.role.into();
        check_reach(&caller, role)?;
        let email = address(&body.email)?;
        let new = NewOperator { email: &email, name: &body.name, role };
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        let row = operators::invite(&mut tx, &self.state.services, caller.actor(), new).await?;
        tx.answer(Invited::Invited(Json(row.into()))).await
    }

    /// Change an operator's role.
    ///
    /// The last operator who may do everything keeps the role. For operators whose own role may do
    /// as much as the old role and the new one.
    #[oai(path = "/operators/:id", method = "patch", operation_id = "update_operator")]
    async fn change(
        &self,
        #[oai(scope = "Needs::OperatorsWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<OperatorPatch>,
    ) -> Result<Answered<Json<OperatorView>>, ApiError> {
        let (services, role) = (&self.state.services, body.role.into());
        check_reach(&caller, role)?;
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        check_reach_of(&caller, &mut tx, UserId(id.0)).await?;
        let row = operators::change_role(&mut tx, services, caller.actor(), UserId(id.0), role).await?;
        tx.answer(Json(row.into())).await
    }

    /// Remove an operator.
    ///
    /// The person is signed out everywhere and keeps the account. The last operator who may do
    /// everything stays. Keys stay too: revoke those that the person knows. For operators whose own
    /// role may do as much.
    #[oai(path = "/operators/:id", method = "delete", operation_id = "delete_operator")]
    async fn remove(
        &self,
        #[oai(scope = "Needs::OperatorsWrite")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Removed>, ApiError> {
        caller.operator()?;
        let mut tx = self.state.db.write(Scope::System, &caller).await?;
        check_reach_of(&caller, &mut tx, UserId(id.0)).await?;
        operators::remove(&mut tx, &self.state.services, caller.actor(), UserId(id.0)).await?;
        tx.answer(Removed::Removed).await
    }
}

/// Refuses to give or take a role that may do more than the caller.
pub(crate) fn check_reach(caller: &Caller, role: OperatorRole) -> Result<(), ApiError> {
    caller.operator()?;
    caller.may_give(TenantId::SYSTEM, &role.permissions())
}

/// Refuses to change an operator who may do more than the caller.
pub(crate) async fn check_reach_of(caller: &Caller, tx: &mut Tx, id: UserId) -> Result<(), ApiError> {
    let row = store::get_operator(tx, id).await?.ok_or(OperatorError::Missing)?;
    check_reach(caller, row.role)
}

impl From<OperatorError> for ApiError {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Missing => Self::not_found("operator"),
            OperatorError::Already => {
                Self::conflict(ErrorCode::AlreadyMember, "They are an operator already: change their role instead.")
            }
            OperatorError::Last => Self::conflict(
                ErrorCode::LastOwner,
                "One operator who may do everything stays: give somebody else that role first.",
            ),
            OperatorError::Throttled(error) => error.into(),
            OperatorError::Database(error) => error.into(),
        }
    }
}
