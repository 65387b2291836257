//! The people and keys that invite: the roles that they may give, and the limits of their mails to
//! strangers.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{invitations::InvitationRow, permissions::Permissions, roles::Role};
use crate::{
    ids::{TenantId, UserId},
    people::{
        Address, OperatorRole,
        throttle::{Throttle, Throttled},
    },
};

/// The permission to invite.
const INVITES: &str = "members:write";

/// A person or a key that invites.
#[derive(Debug, Clone, Copy)]
pub enum Inviter {
    /// A person.
    Person(UserId),
    /// An API key.
    Key(Uuid),
}

impl Inviter {
    pub(super) fn person(self) -> Option<Uuid> {
        match self {
            Self::Person(id) => Some(id.0),
            Self::Key(_) => None,
        }
    }

    pub(super) fn key(self) -> Option<Uuid> {
        match self {
            Self::Person(_) => None,
            Self::Key(id) => Some(id),
        }
    }

    /// Counts a letter to a stranger against three limits: of its address, of the tenant, and of an
    /// inviter of whom nobody has accepted an invitation yet. A refused letter counts nowhere if
    /// the caller drops the transaction. Needs the system scope.
    ///
    /// # Errors
    /// Returns [`Throttled::TooMany`] if the letter is refused.
    pub async fn count_letter(
        self,
        conn: &mut PgConnection,
        tenant_id: TenantId,
        email: &Address,
    ) -> Result<(), Throttled> {
        Throttle::INVITATION_LETTER.require(conn, &email.canonical()).await?;
        Throttle::INVITATIONS.require(conn, &tenant_id.to_string()).await?;
        match self.find_fresh(conn).await? {
            Some(account) => Throttle::FRESH_INVITER.require(conn, &account.to_string()).await,
            None => Ok(()),
        }
    }

    /// Returns the account that a letter counts for. Returns `None` if somebody has accepted an
    /// invitation of it, or if it is an operator's. The account behind a key is that of its maker,
    /// else its tenant.
    async fn find_fresh(self, conn: &mut PgConnection) -> Result<Option<Uuid>, sqlx::Error> {
        let found = sqlx::query!(
            r#"
            select coalesce(u.id, k.tenant_id) as "account!",
              u.operator_role is not null or coalesce(k.tenant_id = $3, false) or exists (
                select
                from invitations i
                left join api_keys maker on maker.id = i.invited_by_key
                where i.accepted_at is not null
                  and coalesce(i.invited_by, maker.created_by, maker.tenant_id) = coalesce(u.id, k.tenant_id)
              ) as "is_trusted!"
            from (select $1::uuid as user_id, $2::uuid as key_id) given
            left join api_keys k on k.id = given.key_id
            left join users u on u.id = coalesce(given.user_id, k.created_by)
            where u.id is not null or k.id is not null
            "#,
            self.person(),
            self.key(),
            TenantId::SYSTEM.0
        )
        .fetch_optional(conn)
        .await?;
        Ok(found.filter(|found| !found.is_trusted).map(|found| found.account))
    }
}

/// Returns true if the sender of an invitation may still give its role. The sender may have been
/// demoted since, or the key revoked. Needs the system scope.
pub async fn may_still_give(conn: &mut PgConnection, invitation: &InvitationRow) -> Result<bool, sqlx::Error> {
    let found = sqlx::query!(
        r#"
        select u.operator_role as "operator_role: OperatorRole", m.role as "role?: Role", k.permissions as "permissions?",
          k.tenant_id as "key_tenant_id?: TenantId"
        from invitations i
        left join users u on u.id = i.invited_by
        left join tenant_users m on m.user_id = i.invited_by and m.tenant_id = i.tenant_id
        left join api_keys k on k.id = i.invited_by_key and k.revoked_at is null
        where i.id = $1
        "#,
        invitation.id
    )
    .fetch_one(conn)
    .await?;
    let of_operator = found.operator_role.map(OperatorRole::permissions);
    let of_member = found.role.map(Role::permissions);
    let Some(held) = of_operator.or(of_member).or(found.permissions.map(Permissions::stored)) else {
        return Ok(false);
    };
    let decides_about_owners = found.operator_role.is_some()
        || found.role == Some(Role::Owner)
        || found.key_tenant_id == Some(TenantId::SYSTEM);
    let may_give = held.allow(INVITES) && held.first_beyond(&invitation.role.permissions()).is_none();
    Ok(may_give && (invitation.role != Role::Owner || decides_about_owners))
}
