//! The emails and their subjects. Everything else is read when an email is sent.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{AccountId, DeliveryId, TokenId, UserId};

/// An email: `{"letter": "verify_email", "link_id": "..."}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "letter", rename_all = "snake_case")]
pub enum Email {
    /// To a person: verify your address.
    VerifyEmail {
        /// The row in `mail_links`.
        link_id: Uuid,
    },
    /// To a person: somebody registered with your address, but you have an account already.
    AddressTaken {
        /// The person with the address.
        user_id: UserId,
    },
    /// To a person: choose a new password.
    ResetPassword {
        /// The row in `mail_links`.
        link_id: Uuid,
    },
    /// To a person's present address: agree to another one.
    ConfirmOldAddress {
        /// The row in `address_changes`.
        change_id: Uuid,
    },
    /// To the address that a person wants: confirm that it is yours.
    ConfirmNewAddress {
        /// The row in `address_changes`.
        change_id: Uuid,
    },
    /// To a person: the way you sign in was changed.
    AccountChanged {
        /// The person.
        user_id: UserId,
        /// The change.
        change: AccountChange,
    },
    /// To a person who is made an operator: choose a password.
    OperatorInvitation {
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
    /// To a tenant: a service refuses your own key.
    KeyRefused {
        /// The row in `service_keys`.
        key_id: Uuid,
    },
    /// To a tenant: this connection ends soon.
    ConnectionEnding {
        /// The token of the person who connected.
        token_id: TokenId,
        /// The warning: 14, 7 or 1 days.
        days: i16,
    },
    /// To a tenant: this post failed.
    PostFailed {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// To a tenant: this post was found too late to be published.
    PostMissed {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// To a tenant: nobody can tell if this post was published.
    PostUnknown {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// To the operators. See [`super::alert`].
    OperatorAlert {
        /// The sort of the event in a few words, which is the subject.
        sort: String,
        /// The event.
        words: String,
    },
}

impl Email {
    /// Returns true if the email goes to operators or to a person, independent of any tenant. Its
    /// job then belongs to the system's tenant.
    pub(super) fn is_personal(&self) -> bool {
        match self {
            Self::VerifyEmail { .. }
            | Self::AddressTaken { .. }
            | Self::ResetPassword { .. }
            | Self::ConfirmOldAddress { .. }
            | Self::ConfirmNewAddress { .. }
            | Self::AccountChanged { .. }
            | Self::OperatorInvitation { .. }
            | Self::OperatorAlert { .. } => true,
            Self::Invitation { .. }
            | Self::AccountNeedsAttention { .. }
            | Self::KeyRefused { .. }
            | Self::ConnectionEnding { .. }
            | Self::PostFailed { .. }
            | Self::PostMissed { .. }
            | Self::PostUnknown { .. } => false,
        }
    }

    /// Returns true if the email goes to a tenant, which may be several people.
    pub(super) fn is_to_tenant(&self) -> bool {
        !self.is_personal() && !matches!(self, Self::Invitation { .. })
    }

    /// Returns true if somebody waits for the email in front of a screen.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.is_to_tenant() && !matches!(self, Self::OperatorAlert { .. })
    }

    /// Returns the key of the email: `post_failed:<id>`.
    pub(super) fn key(&self) -> String {
        match self {
            Self::VerifyEmail { link_id } => format!("verify_email:{link_id}"),
            Self::AddressTaken { user_id } => format!("address_taken:{user_id}"),
            Self::ResetPassword { link_id } => format!("reset_password:{link_id}"),
            Self::ConfirmOldAddress { change_id } => format!("confirm_old_address:{change_id}"),
            Self::ConfirmNewAddress { change_id } => format!("confirm_new_address:{change_id}"),
            Self::AccountChanged { user_id, change } => format!("account_changed:{}:{user_id}", change.name()),
            Self::OperatorInvitation { link_id } => format!("operator_invitation:{link_id}"),
            Self::Invitation { invitation_id } => format!("invitation:{invitation_id}"),
            Self::AccountNeedsAttention { account_id } => format!("account_needs_attention:{account_id}"),
            Self::KeyRefused { key_id } => format!("key_refused:{key_id}"),
            Self::ConnectionEnding { token_id, days } => format!("connection_ending:{days}:{token_id}"),
            Self::PostFailed { delivery_id } => format!("post_failed:{delivery_id}"),
            Self::PostMissed { delivery_id } => format!("post_missed:{delivery_id}"),
            Self::PostUnknown { delivery_id } => format!("post_unknown:{delivery_id}"),
            Self::OperatorAlert { sort, .. } => format!("operator_alert:{sort}"),
        }
    }
}

/// A change of the way in which a person signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountChange {
    /// Another password.
    Password,
    /// A second factor was set up.
    SecondFactorAdded,
    /// The person removed the second factor.
    SecondFactorRemoved,
    /// An operator removed the second factor.
    SecondFactorReset,
}

impl AccountChange {
    /// Returns the name that is stored.
    fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SecondFactorAdded => "second_factor_added",
            Self::SecondFactorRemoved => "second_factor_removed",
            Self::SecondFactorReset => "second_factor_reset",
        }
    }

    /// Returns the sentence of the email.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Password => "The password of your account at Linecook was changed. Your other sessions were ended.",
            Self::SecondFactorAdded => {
                "Your account at Linecook now asks for a code of an authenticator app. Your other sessions were ended."
            }
            Self::SecondFactorRemoved => {
                "Your account at Linecook does not ask for a code of an authenticator app any more."
            }
            Self::SecondFactorReset => {
                "An operator removed the authenticator app from your account at Linecook. All your sessions were ended."
            }
        }
    }

    /// Returns the subject of the email.
    pub(super) fn subject(self) -> &'static str {
        match self {
            Self::Password => "Your password was changed",
            Self::SecondFactorAdded => "Your account asks for a code now",
            Self::SecondFactorRemoved => "Your account asks for no code any more",
            Self::SecondFactorReset => "Your second factor was removed",
        }
    }
}

/// One recipient of an email to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// An owner or admin, at their verified address.
    User(UserId),
    /// The tenant's own address, used if no owner or admin has a verified one.
    Tenant,
}
