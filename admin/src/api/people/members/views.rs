//! People of a tenant and invitations, as clients see and write them.

use chrono::{DateTime, Utc};
use jobs::tenants::{invitations::InvitationRow, members::MemberRow, roles::Role};
use poem_openapi::{ApiResponse, Enum, Object, payload::Json};
use uuid::Uuid;

use crate::http::paging::Listed;

/// The role of a person in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Role", rename_all = "lowercase")]
pub(super) enum RoleName {
    /// May do everything, also make and remove owners.
    Owner,
    /// May do everything except change owners and end the tenant.
    Admin,
    /// Works on content (pictures, calendars, posts) and reads the rest, except keys and the audit
    /// log.
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

/// A member of a tenant.
#[derive(Debug, Object)]
pub(super) struct MemberView {
    user_id: Uuid,
    email: String,
    first_name: String,
    last_name: String,
    picture_url: Option<String>,
    role: RoleName,
    /// The time at which the person joined.
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

/// A new role of a member.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(super) struct MemberPatch {
    pub(super) role: RoleName,
}

/// A person to invite.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(super) struct NewInvitation {
    #[oai(validator(min_length = 3, max_length = 254, pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
    pub(super) email: String,
    pub(super) role: RoleName,
}

/// An invitation.
#[derive(Debug, Object)]
pub(super) struct InvitationView {
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
pub(super) enum Invited {
    /// A mail with a link is on its way.
    #[oai(status = 201)]
    Invited(Json<InvitationView>),
}

#[derive(ApiResponse)]
pub(super) enum Left {
    /// The person is not in the tenant any more.
    #[oai(status = 204)]
    Left,
}
