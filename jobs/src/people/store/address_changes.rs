//! Changes of address that wait for both mailboxes. All of it needs the system scope.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{ids::UserId, people::Address};

/// One of the two mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The mailbox of the present address.
    Old,
    /// The mailbox of the new address.
    New,
}

impl Side {
    /// Both mailboxes.
    pub const BOTH: [Self; 2] = [Self::Old, Self::New];

    /// Returns the purpose for which [`crate::signer::Signer`] signs its link.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Old => "confirm_old_address",
            Self::New => "confirm_new_address",
        }
    }
}

/// A change that a mailbox has confirmed.
#[derive(Debug)]
pub(in crate::people) struct AddressChange {
    pub(in crate::people) user_id: UserId,
    pub(in crate::people) email: String,
    /// True if both mailboxes have confirmed it.
    pub(in crate::people) is_confirmed: bool,
}

/// Stores a change, in place of the person's earlier one.
pub(in crate::people) async fn put_address_change(
    conn: &mut PgConnection,
    user_id: UserId,
    new: &Address,
    life: Duration,
) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar!(
        "
        insert into address_changes (id, user_id, email, expires_at)
        values ($1, $2, $3, engine_stamp() + make_interval(secs => $4))
        on conflict (user_id) do update
        set id = excluded.id, email = excluded.email, expires_at = excluded.expires_at, created_at = engine_stamp(),
          old_confirmed_at = null, new_confirmed_at = null
        returning id
        ",
        Uuid::now_v7(),
        user_id.0,
        new.as_str(),
        life.as_secs_f64()
    )
    .fetch_one(conn)
    .await
}

/// Notes that a mailbox has confirmed a change. Returns `None` if it is unknown, too old, or the
/// mailbox has confirmed it before.
pub(in crate::people) async fn confirm_address_change(
    conn: &mut PgConnection,
    id: Uuid,
    side: Side,
) -> Result<Option<AddressChange>, sqlx::Error> {
    sqlx::query_as!(
        AddressChange,
        r#"
        update address_changes
        set old_confirmed_at = case when $2 then engine_stamp() else old_confirmed_at end,
          new_confirmed_at = case when $2 then new_confirmed_at else engine_stamp() end
        where id = $1 and expires_at > engine_now()
          and case when $2 then old_confirmed_at else new_confirmed_at end is null
        returning user_id as "user_id: UserId", email,
          old_confirmed_at is not null and new_confirmed_at is not null as "is_confirmed!"
        "#,
        id,
        side == Side::Old
    )
    .fetch_optional(conn)
    .await
}

/// Deletes a person's change, if there is one.
pub(in crate::people) async fn delete_address_change(
    conn: &mut PgConnection,
    user_id: UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from address_changes where user_id = $1", user_id.0).execute(conn).await?;
    Ok(())
}

/// Deletes registrations of an address that nobody has verified.
pub(in crate::people) async fn delete_unverified(conn: &mut PgConnection, email: &Address) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        delete from users
        where email_canonical = $1 and email_verified_at is null and operator_role is null
          and not exists (select from tenant_users where tenant_users.user_id = users.id)
        ",
        email.canonical()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes a person's address.
pub(in crate::people) async fn set_email(
    conn: &mut PgConnection,
    id: UserId,
    email: &Address,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update users set email = $2 where id = $1", id.0, email.as_str()).execute(conn).await?;
    Ok(())
}
