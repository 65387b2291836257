//! The operations on members and invitations of a tenant.

mod views;

use jobs::{
    engine::Scope,
    ids::UserId,
    tenants::{
        invitations,
        members::{self, MemberError},
        membership::{self, DecisionError},
        roles::Role,
    },
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use self::views::{InvitationView, Invited, Left, MemberPatch, MemberView, NewInvitation};
use crate::{
    ApiError,
    api::{Tag, people::address, require_tenant},
    auth::{Caller, Needs},
    database::Answered,
    error::ErrorCode,
    http::{
        Body,
        paging::{Page, Paging},
    },
    state::AppState,
};

pub(crate) struct MembersApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::People")]
impl MembersApi {
    /// List the members of a tenant, in the order of joining.
    #[oai(path = "/tenants/:id/members", method = "get", operation_id = "list_members")]
    async fn list(
        &self,
        #[oai(scope = "Needs::MembersRead")] caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<MemberView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let mut rows = members::list(&mut tx, id, paging.after, paging.rows()).await?;
        let next = paging.next(&mut rows, |row| (row.created_at, row.user_id.0));
        Ok(Json(Page { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// Change the role of a member.
    ///
    /// Only owners make and remove owners, and the last owner stays.
    #[oai(path = "/tenants/:id/members/:user_id", method = "patch", operation_id = "update_member")]
    async fn update(
        &self,
        #[oai(scope = "Needs::MembersWrite")] caller: Caller,
        id: Path<Uuid>,
        user_id: Path<Uuid>,
        body: Body<MemberPatch>,
    ) -> Result<Answered<Json<MemberView>>, ApiError> {
        let (id, user_id, role) = (caller.tenant(id.0)?, UserId(user_id.0), Role::from(body.role));
        let by = caller.decider(id)?;
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        let member = membership::set_role(&mut tx, &self.state.services, &by, (id, user_id), role).await?;
        tx.answer(Json(member.into())).await
    }

    /// Remove a member from a tenant.
    ///
    /// Only owners remove owners, and the last owner stays.
    #[oai(path = "/tenants/:id/members/:user_id", method = "delete", operation_id = "remove_member")]
    async fn remove(
        &self,
        #[oai(scope = "Needs::MembersWrite")] caller: Caller,
        id: Path<Uuid>,
        user_id: Path<Uuid>,
    ) -> Result<Answered<Left>, ApiError> {
        let id = caller.tenant(id.0)?;
        let by = caller.decider(id)?;
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        membership::remove(&mut tx, &self.state.services, &by, id, UserId(user_id.0)).await?;
        tx.answer(Left::Left).await
    }

    /// Leave a tenant.
    ///
    /// The last owner cannot leave.
    #[oai(path = "/tenants/:id/leave", method = "post", operation_id = "leave_tenant")]
    async fn leave(
        &self,
        #[oai(scope = "Needs::Person")] caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Answered<Left>, ApiError> {
        let (person, id) = (caller.person()?, caller.tenant(id.0)?);
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        membership::leave(&mut tx, &self.state.services, caller.actor(), id, person.user_id).await?;
        tx.answer(Left::Left).await
    }

    /// List the invitations of a tenant, newest first, with those that were used or have ended.
    #[oai(path = "/tenants/:id/invitations", method = "get", operation_id = "list_invitations")]
    async fn list_invitations(
        &self,
        #[oai(scope = "Needs::MembersRead")] caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<InvitationView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let mut tx = self.state.db.read(Scope::Tenant(id)).await?;
        require_tenant(&mut tx, id).await?;
        let mut rows = invitations::list(&mut tx, id, paging.after, paging.rows()).await?;
        let next = paging.next(&mut rows, |row| (row.created_at, row.id));
        Ok(Json(Page { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// Invite somebody by email.
    ///
    /// The mail has a link that is valid for a week. If the address is invited already, it gets a
    /// new link, and the old one becomes void. Only owners invite owners.
    #[oai(path = "/tenants/:id/invitations", method = "post", operation_id = "create_invitation")]
    async fn invite(
        &self,
        #[oai(scope = "Needs::MembersWrite")] caller: Caller,
        id: Path<Uuid>,
        body: Body<NewInvitation>,
    ) -> Result<Answered<Invited>, ApiError> {
        let (id, invited) = (caller.tenant(id.0)?, (address(&body.email)?, Role::from(body.role)));
        let by = caller.decider(id)?;
        #[expect(clippy::disallowed_methods, reason = "a mail counts even if the invitation is refused afterwards")]
        membership::count_invitation(self.state.db.unkeyed(), &by, id, &invited.0).await?;
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        require_tenant(&mut tx, id).await?;
        let invitation = membership::invite(&mut tx, &self.state.services, &by, id, &invited).await?;
        tx.answer(Invited::Invited(Json(invitation.into()))).await
    }

    /// Revoke an invitation.
    ///
    /// An accepted invitation is not changed: remove the member instead. You may repeat the
    /// request.
    #[oai(path = "/tenants/:id/invitations/:invitation_id", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke_invitation(
        &self,
        #[oai(scope = "Needs::MembersWrite")] caller: Caller,
        id: Path<Uuid>,
        invitation_id: Path<Uuid>,
    ) -> Result<Answered<Json<InvitationView>>, ApiError> {
        let (id, services) = (caller.tenant(id.0)?, &self.state.services);
        let mut tx = self.state.db.write(Scope::Tenant(id), &caller).await?;
        let row = membership::revoke_invitation(&mut tx, services, caller.actor(), id, invitation_id.0).await?;
        tx.answer(Json(row.ok_or_else(|| ApiError::not_found("invitation"))?.into())).await
    }
}

impl From<DecisionError> for ApiError {
    fn from(error: DecisionError) -> Self {
        match error {
            DecisionError::Member(error) => error.into(),
            DecisionError::Beyond(permission) => Self::missing_permission(&permission),
            DecisionError::OwnersOnly => Self::owners_only(),
            DecisionError::AlreadyMember => {
                Self::conflict(ErrorCode::AlreadyMember, "A person with that address is in the tenant already.")
            }
            DecisionError::Database(error) => error.into(),
        }
    }
}

impl From<MemberError> for ApiError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Missing => Self::not_found("member"),
            MemberError::LastOwner => Self::last_owner(),
            MemberError::Database(error) => error.into(),
        }
    }
}
