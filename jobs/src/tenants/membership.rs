//! Deciding who is in a tenant, and as what.

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

/// Somebody who decides about the people of a tenant.
#[derive(Debug)]
pub struct Decider<'a> {
    /// Who it is, for the audit log.
    pub actor: &'a Actor,
    /// The permissions that they have in the tenant.
    pub held: &'a Permissions,
    /// What sort of caller it is.
    pub standing: Standing,
}

/// A sort of caller: owners are decided about by operators, and by people who own the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An operator decides as owners do; a person, if it is no key.
    Operator(Option<UserId>),
    /// A person decides as the role in the tenant allows.
    Person(UserId),
    /// A key decides as admins do.
    Key,
}

/// The reason why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// The membership cannot be changed like that.
    #[error("the membership was not changed")]
    Member(#[from] MemberError),
    /// A role allows this, and the caller is not allowed it.
    #[error("the caller has no permission {0}")]
    Beyond(String),
    /// Only owners decide about owners.
    #[error("only owners decide about owners")]
    OwnersOnly,
    /// Somebody with that address is in the tenant.
    #[error("somebody with that address is in the tenant")]
    AlreadyMember,
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// Gives somebody another role.
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

/// Removes somebody from a tenant.
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

/// Takes somebody who wants that out of a tenant.
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

/// Invites an address: a mail brings its link.
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

/// Counts a mail with an invitation, in a transaction of its own: what is refused there counts nowhere.
///
/// # Errors
/// [`Throttled::TooMany`] if the mail is not to go out.
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

/// Takes an invitation back; `None`: there is none in this tenant. One that was accepted stays what it is.
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

    /// Refuses to decide about roles that may do more than the caller, and about owners to who is none. `changed` is a member
    /// whose role was another one before this transaction: an owner who steps down decided as an owner.
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
