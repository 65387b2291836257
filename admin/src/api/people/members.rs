//! Who is in a tenant, as what, and who is invited.

use chrono::{DateTime, Utc};
use jobs::{
    audit::Entry,
    engine::Tx,
    ids::{TenantId, UserId},
    mail::{self, Email},
    people::throttle::Throttle,
    tenants::{
        invitations::{self, InvitationRow},
        members::{self, MemberError, MemberRow},
        roles::Role,
    },
};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, require_tenant},
    auth::Caller,
    error::ErrorCode,
    http::{
        Body,
        paging::{Listed, Page, Paging},
    },
    state::AppState,
};

/// What somebody is in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Role", rename_all = "lowercase")]
enum RoleName {
    /// Does everything, and decides who else owns it.
    Owner,
    /// Does everything but what concerns owners and the tenant's end.
    Admin,
    /// Makes content: pictures, calendars, posts.
    Member,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Self::Owner,
            RoleName::Admin => Self::Admin,
            RoleName::Member => Self::Member,
        }
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Member => Self::Member,
        }
    }
}

/// Somebody in a tenant.
#[derive(Debug, Object)]
struct MemberView {
    user_id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    picture_url: Option<String>,
    role: RoleName,
    /// When they joined.
    created_at: DateTime<Utc>,
}

impl From<MemberRow> for MemberView {
    fn from(row: MemberRow) -> Self {
        Self {
            user_id: row.user_id.0,
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            picture_url: row.picture_url,
            role: row.role.into(),
            created_at: row.created_at,
        }
    }
}

impl Listed for MemberView {
    const PAGE: &'static str = "MemberPage";
    const DESCRIPTION: &'static str = "A page of people.";
}

/// Another role.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct MemberPatch {
    role: RoleName,
}

/// Somebody to invite.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewInvitation {
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    email: String,
    role: RoleName,
}

/// An invitation.
#[derive(Debug, Object)]
struct InvitationView {
    id: Uuid,
    email: String,
    role: RoleName,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    accepted_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<InvitationRow> for InvitationView {
    fn from(row: InvitationRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            role: row.role.into(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            accepted_at: row.accepted_at,
            revoked_at: row.revoked_at,
        }
    }
}

impl Listed for InvitationView {
    const PAGE: &'static str = "InvitationPage";
    const DESCRIPTION: &'static str = "A page of invitations.";
}

#[derive(ApiResponse)]
enum Invited {
    /// A mail with a link is on its way.
    #[oai(status = 201)]
    Invited(Json<InvitationView>),
}

#[derive(ApiResponse)]
enum Left {
    /// They are not in the tenant any more.
    #[oai(status = 204)]
    Left,
}

pub(crate) struct MembersApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::People")]
impl MembersApi {
    /// A tenant's people, in the order of joining.
    #[oai(path = "/tenants/:id/members", method = "get", operation_id = "list_members")]
    async fn list(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<MemberView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let mut tx = self.state.db.tenant(id).await?;
        require_tenant(&mut tx, id).await?;
        let mut rows = members::list(&mut tx, id, paging.after, paging.rows()).await?;
        tx.commit().await?;
        let next = paging.next(&mut rows, |row| (row.created_at, row.user_id.0));
        Ok(Json(Page { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// Give somebody another role. Owners are made and unmade by owners; the last one stays.
    #[oai(path = "/tenants/:id/members/:user_id", method = "patch", operation_id = "update_member")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        user_id: Path<Uuid>,
        body: Body<MemberPatch>,
    ) -> Result<Json<MemberView>, ApiError> {
        let (id, user_id, role) = (caller.tenant(id.0)?, UserId(user_id.0), Role::from(body.role));
        let mut tx = self.state.db.tenant(id).await?;
        let before = members::get_role(&mut tx, id, user_id).await?.ok_or_else(|| ApiError::not_found("member"))?;
        may_decide(&mut tx, &caller, id, &[before, role]).await?;
        let before = members::set_role(&mut tx, id, user_id, role).await?;
        may_decide(&mut tx, &caller, id, &[before]).await?;
        let member = members::get(&mut tx, id, user_id).await?.ok_or_else(|| ApiError::not_found("member"))?;
        let details = json!({ "before": before.name(), "after": role.name() });
        self.state.record(&mut tx, caller.actor(), Entry::new(id, "member.update", "user", user_id.0, details)).await?;
        tx.commit().await?;
        Ok(Json(member.into()))
    }

    /// Remove somebody from a tenant. Owners are removed by owners; the last one stays.
    #[oai(path = "/tenants/:id/members/:user_id", method = "delete", operation_id = "remove_member")]
    async fn remove(&self, caller: Caller, id: Path<Uuid>, user_id: Path<Uuid>) -> Result<Left, ApiError> {
        let (id, user_id) = (caller.tenant(id.0)?, UserId(user_id.0));
        let mut tx = self.state.db.tenant(id).await?;
        let before = members::get_role(&mut tx, id, user_id).await?.ok_or_else(|| ApiError::not_found("member"))?;
        may_decide(&mut tx, &caller, id, &[before]).await?;
        self.end_membership(tx, &caller, id, user_id, false).await
    }

    /// Leave a tenant. The last owner stays.
    #[oai(path = "/tenants/:id/leave", method = "post", operation_id = "leave_tenant")]
    async fn leave(&self, caller: Caller, id: Path<Uuid>) -> Result<Left, ApiError> {
        let (person, id) = (caller.person()?, caller.tenant(id.0)?);
        let tx = self.state.db.tenant(id).await?;
        self.end_membership(tx, &caller, id, person.user_id, true).await
    }

    /// A tenant's invitations, newest first, those too that are over.
    #[oai(path = "/tenants/:id/invitations", method = "get", operation_id = "list_invitations")]
    async fn list_invitations(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        after: Query<Option<String>>,
        limit: Query<Option<i64>>,
    ) -> Result<Json<Page<InvitationView>>, ApiError> {
        let (id, paging) = (caller.tenant(id.0)?, Paging::read(&after, &limit)?);
        let mut tx = self.state.db.tenant(id).await?;
        require_tenant(&mut tx, id).await?;
        let mut rows = invitations::list(&mut tx, id, paging.after, paging.rows()).await?;
        tx.commit().await?;
        let next = paging.next(&mut rows, |row| (row.created_at, row.id));
        Ok(Json(Page { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// Invite an address: a mail brings a link that is good for a week. An address that is invited already gets a new one, and the
    /// old one is good for nothing. Owners are invited by owners.
    #[oai(path = "/tenants/:id/invitations", method = "post", operation_id = "create_invitation")]
    async fn invite(&self, caller: Caller, id: Path<Uuid>, body: Body<NewInvitation>) -> Result<Invited, ApiError> {
        let (id, role) = (caller.tenant(id.0)?, Role::from(body.role));
        self.count_mail(id, &body.email).await?;
        let mut tx = self.state.db.tenant(id).await?;
        require_tenant(&mut tx, id).await?;
        may_decide(&mut tx, &caller, id, &[role]).await?;
        if members::is_member(&mut tx, id, &body.email).await? {
            return Err(ApiError::conflict(
                ErrorCode::AlreadyMember,
                "Somebody with that address is in the tenant already.",
            ));
        }
        let inviter = caller.person().ok().map(|person| person.user_id);
        let row = invitations::insert(&mut tx, id, &body.email, role, inviter).await?;
        mail::enqueue(&mut tx, id, Email::Invitation { invitation_id: row.id }).await?;
        let details = json!({ "email": row.email, "role": role.name() });
        self.state
            .record(&mut tx, caller.actor(), Entry::new(id, "invitation.create", "invitation", row.id, details))
            .await?;
        tx.commit().await?;
        Ok(Invited::Invited(Json(row.into())))
    }

    /// Take an invitation back. One that was accepted stays what it is: remove the member. May be repeated.
    #[oai(path = "/tenants/:id/invitations/:invitation_id", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke_invitation(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        invitation_id: Path<Uuid>,
    ) -> Result<Json<InvitationView>, ApiError> {
        let id = caller.tenant(id.0)?;
        let mut tx = self.state.db.tenant(id).await?;
        let row = invitations::revoke(&mut tx, id, invitation_id.0).await?;
        let row = row.ok_or_else(|| ApiError::not_found("invitation"))?;
        let details = json!({ "email": row.email, "was_accepted": row.accepted_at.is_some() });
        self.state
            .record(&mut tx, caller.actor(), Entry::new(id, "invitation.revoke", "invitation", row.id, details))
            .await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }
}

impl MembersApi {
    async fn end_membership(
        &self,
        mut tx: Tx,
        caller: &Caller,
        id: TenantId,
        user_id: UserId,
        is_own: bool,
    ) -> Result<Left, ApiError> {
        let before = members::delete(&mut tx, id, user_id).await?;
        if !is_own {
            may_decide(&mut tx, caller, id, &[before]).await?;
        }
        let details = json!({ "role": before.name() });
        self.state.record(&mut tx, caller.actor(), Entry::new(id, "member.remove", "user", user_id.0, details)).await?;
        tx.commit().await?;
        Ok(Left::Left)
    }

    /// Strangers' mailboxes are not to be filled by us: neither one of them, nor many by one tenant. What is refused counts nowhere.
    async fn count_mail(&self, id: TenantId, email: &str) -> Result<(), ApiError> {
        let mut tx = self.state.db.system().await?;
        for (throttle, whom) in [(Throttle::MAIL, email), (Throttle::INVITATIONS, id.to_string().as_str())] {
            if let Some(wait) = throttle.take(&mut tx, whom).await? {
                return Err(ApiError::too_many_tries(wait));
            }
        }
        Ok(tx.commit().await?)
    }
}

/// Refuses to decide about roles that may do more than the caller, and about owners to who is none. Keys decide as admins do,
/// operators as owners.
async fn may_decide(tx: &mut Tx, caller: &Caller, tenant_id: TenantId, about: &[Role]) -> Result<(), ApiError> {
    for role in about {
        caller.may_give(tenant_id, &role.permissions())?;
    }
    if !about.contains(&Role::Owner) || caller.operator().is_ok() {
        return Ok(());
    }
    let own = match caller.person() {
        Ok(person) => members::get_role(tx, tenant_id, person.user_id).await?,
        Err(_) => None,
    };
    if own == Some(Role::Owner) { Ok(()) } else { Err(ApiError::owners_only()) }
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
