//! Decisions about the members of a tenant and their roles.

use serde_json::json;
use uuid::Uuid;

use super::{
    invitations::{self, InvitationRow},
    inviter::Inviter,
    members::{self, MemberError, MemberRow},
    permissions::Permissions,
    roles::Role,
};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Db, Tx},
    ids::{TenantId, UserId},
    mail::{self, Email},
    people::{Address, throttle::Throttled},
    services::Services,
};

/// A caller who decides about the members of a tenant.
#[derive(Debug)]
pub struct Decider<'a> {
    /// The caller, for the audit log.
    pub actor: &'a Actor,
    /// The caller's permissions in the tenant.
    pub held: &'a Permissions,
    /// The sort of caller.
    pub standing: Standing,
}

/// A sort of caller. Only operators, and people who own the tenant, decide about owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An operator, who decides as owners do. `None` for a key.
    Operator(Option<UserId>),
    /// A person, who decides as their role in the tenant allows.
    Person(UserId),
    /// A key, which decides as admins do.
    Key,
}

/// The reasons for which nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// The membership cannot be changed like that.
    #[error("could not change the membership")]
    Member(#[from] MemberError),
    /// The role has this permission, and the caller does not.
    #[error("the caller lacks the permission {0}, which the role has")]
    Beyond(String),
    /// Only owners decide about owners.
    #[error("only owners may make, change or remove owners")]
    OwnersOnly,
    /// A person with that address is in the tenant.
    #[error("a person with that address is in the tenant already")]
    AlreadyMember,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Changes the role of a member.
///
/// # Errors
/// [`DecisionError`].
pub async fn set_role(
    tx: &mut Tx,
    services: &Services,
    by: &Decider<'_>,
    (tenant_id, user_id): (TenantId, UserId),
    role: Role,
) -> Result<MemberRow, DecisionError> {
    let before = members::get_role(tx, tenant_id, user_id).await?.ok_or(MemberError::Missing)?;
    by.may_decide(tx, tenant_id, &[before, role], None).await?;
    let before = members::set_role(tx, tenant_id, user_id, role).await?;
    by.may_decide(tx, tenant_id, &[before, role], Some((user_id, before))).await?;
    let member = members::get(tx, tenant_id, user_id).await?.ok_or(MemberError::Missing)?;
    let details = json!({ "before": before.name(), "after": role.name() });
    let entry = Entry::new(tenant_id, "member.update", "user", user_id, details);
    audit::append(tx, &services.keyring, by.actor, &[entry]).await?;
    Ok(member)
}

/// Removes a member from a tenant.
///
/// # Errors
/// [`DecisionError`].
pub async fn remove(
    tx: &mut Tx,
    services: &Services,
    by: &Decider<'_>,
    tenant_id: TenantId,
    user_id: UserId,
) -> Result<(), DecisionError> {
    let before = members::get_role(tx, tenant_id, user_id).await?.ok_or(MemberError::Missing)?;
    by.may_decide(tx, tenant_id, &[before], None).await?;
    let before = members::delete(tx, tenant_id, user_id).await?;
    by.may_decide(tx, tenant_id, &[before], Some((user_id, before))).await?;
    Ok(record_end(tx, services, by.actor, (tenant_id, user_id), before).await?)
}

/// Removes a member who leaves the tenant.
///
/// # Errors
/// [`MemberError`].
pub async fn leave(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    user_id: UserId,
) -> Result<(), MemberError> {
    let before = members::delete(tx, tenant_id, user_id).await?;
    Ok(record_end(tx, services, actor, (tenant_id, user_id), before).await?)
}

async fn record_end(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    (tenant_id, user_id): (TenantId, UserId),
    role: Role,
) -> Result<(), sqlx::Error> {
    let entry = Entry::new(tenant_id, "member.remove", "user", user_id, json!({ "role": role.name() }));
    audit::append(tx, &services.keyring, actor, &[entry]).await
}

/// Invites an address by a mail with a link.
///
/// # Errors
/// [`DecisionError`].
pub async fn invite(
    tx: &mut Tx,
    services: &Services,
    by: &Decider<'_>,
    tenant_id: TenantId,
    (email, role): &(Address, Role),
) -> Result<InvitationRow, DecisionError> {
    by.may_decide(tx, tenant_id, &[*role], None).await?;
    if members::is_member(tx, tenant_id, email).await? {
        return Err(DecisionError::AlreadyMember);
    }
    let invitation = invitations::insert(tx, tenant_id, email, *role, by.inviter()).await?;
    mail::enqueue(tx, tenant_id, Email::Invitation { invitation_id: invitation.id }).await?;
    let details = json!({ "email": invitation.email, "role": role.name() });
    let entry = Entry::new(tenant_id, "invitation.create", "invitation", invitation.id, details);
    audit::append(tx, &services.keyring, by.actor, &[entry]).await?;
    Ok(invitation)
}

/// Counts a mail with an invitation, in its own transaction. A refused mail counts nowhere.
///
/// # Errors
/// [`Throttled::TooMany`] if the mail must not go out.
pub async fn count_invitation(
    db: &Db,
    by: &Decider<'_>,
    tenant_id: TenantId,
    email: &Address,
) -> Result<(), Throttled> {
    let mut tx = db.system().await?;
    by.inviter().count_letter(&mut tx, tenant_id, email).await?;
    Ok(tx.commit().await?)
}

/// Revokes an invitation. Returns `None` if this tenant has no such invitation. An accepted one is
/// not changed.
pub async fn revoke_invitation(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    tenant_id: TenantId,
    id: Uuid,
) -> Result<Option<InvitationRow>, sqlx::Error> {
    let Some(invitation) = invitations::revoke(tx, tenant_id, id).await? else {
        return Ok(None);
    };
    let details = json!({ "email": invitation.email, "was_accepted": invitation.accepted_at.is_some() });
    let entry = Entry::new(tenant_id, "invitation.revoke", "invitation", id, details);
    audit::append(tx, &services.keyring, actor, &[entry]).await?;
    Ok(Some(invitation))
}

impl Decider<'_> {
    /// The person or the key that an invitation comes from.
    fn inviter(&self) -> Inviter {
        match self.standing {
            Standing::Operator(Some(user_id)) | Standing::Person(user_id) => Inviter::Person(user_id),
            Standing::Operator(None) | Standing::Key => Inviter::Key(self.actor.id),
        }
    }

    /// Refuses decisions about roles with more permissions than the caller's, and about owners by
    /// others than owners. `changed` is a member whose role was changed in this transaction, so
    /// that an owner who steps down still decides as one.
    async fn may_decide(
        &self,
        tx: &mut Tx,
        tenant_id: TenantId,
        about: &[Role],
        changed: Option<(UserId, Role)>,
    ) -> Result<(), DecisionError> {
        for role in about {
            if let Some(beyond) = self.held.first_beyond(&role.permissions()) {
                return Err(DecisionError::Beyond(beyond.to_owned()));
            }
        }
        if !about.contains(&Role::Owner) {
            return Ok(());
        }
        let is_owner = match (self.standing, changed) {
            (Standing::Operator(_), _) => true,
            (Standing::Person(own), Some((user_id, before))) if own == user_id => before == Role::Owner,
            (Standing::Person(own), _) => members::get_role(tx, tenant_id, own).await? == Some(Role::Owner),
            (Standing::Key, _) => false,
        };
        if is_owner { Ok(()) } else { Err(DecisionError::OwnersOnly) }
    }
}
