//! Emails: which one, and about what. Everything else is read when it goes out.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{AccountId, DeliveryId, UserId};

/// An email: `{"letter": "verify_email", "link_id": "..."}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "letter", rename_all = "snake_case")]
pub enum Email {
    /// To a person: prove that this address is yours.
    VerifyEmail {
        /// The row in `mail_links`.
        link_id: Uuid,
    },
    /// To a person: somebody registered with your address, and you have an account already.
    AddressTaken {
        /// Whose address it is.
        user_id: UserId,
    },
    /// To a person: choose a new password.
    ResetPassword {
        /// The row in `mail_links`.
        link_id: Uuid,
    },
    /// To a person who may not have an account: join a tenant.
    Invitation {
        /// The row in `invitations`.
        invitation_id: Uuid,
    },
    /// To a tenant: connect this account again.
    AccountNeedsAttention {
        /// The account.
        account_id: AccountId,
    },
    /// To a tenant: this post did not go out.
    PostFailed {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// To a tenant: this post was found too late to go out.
    PostMissed {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// To a tenant: nobody can tell whether this post went out.
    PostUnknown {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// To the operators. See [`super::alert`].
    OperatorAlert {
        /// What sort of thing happened, in a few words: the subject.
        sort: String,
        /// What happened.
        words: String,
    },
}

impl Email {
    /// Whether it is to a person or to the operators, whatever tenants there are: the system's tenant has its job.
    pub(super) fn is_personal(&self) -> bool {
        match self {
            Self::VerifyEmail { .. }
            | Self::AddressTaken { .. }
            | Self::ResetPassword { .. }
            | Self::OperatorAlert { .. } => true,
            Self::Invitation { .. }
            | Self::AccountNeedsAttention { .. }
            | Self::PostFailed { .. }
            | Self::PostMissed { .. }
            | Self::PostUnknown { .. } => false,
        }
    }

    /// Whether it is to a tenant, which may be several people.
    pub(super) fn is_to_tenant(&self) -> bool {
        !self.is_personal() && !matches!(self, Self::Invitation { .. })
    }

    /// Whether somebody waits for it in front of a screen.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.is_to_tenant() && !matches!(self, Self::OperatorAlert { .. })
    }

    /// What it is about: `post_failed:<id>`.
    pub(super) fn key(&self) -> String {
        match self {
            Self::VerifyEmail { link_id } => format!("verify_email:{link_id}"),
            Self::AddressTaken { user_id } => format!("address_taken:{user_id}"),
            Self::ResetPassword { link_id } => format!("reset_password:{link_id}"),
            Self::Invitation { invitation_id } => format!("invitation:{invitation_id}"),
            Self::AccountNeedsAttention { account_id } => format!("account_needs_attention:{account_id}"),
            Self::PostFailed { delivery_id } => format!("post_failed:{delivery_id}"),
            Self::PostMissed { delivery_id } => format!("post_missed:{delivery_id}"),
            Self::PostUnknown { delivery_id } => format!("post_unknown:{delivery_id}"),
            Self::OperatorAlert { sort, .. } => format!("operator_alert:{sort}"),
        }
    }
}

/// One of those whom an email to a tenant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// An owner or admin, at the address that the person verified.
    User(UserId),
    /// The tenant's own address: nobody with a verified one runs it.
    Tenant,
}
