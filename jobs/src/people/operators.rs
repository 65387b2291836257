//! The operators: full ones invite others, change their roles and remove them.

use std::time::Duration;

use serde_json::json;

use super::{
    Address, OperatorRole, recover, sessions,
    store::{self, Names, OperatorRow},
    throttle::{Throttle, Throttled},
};
use crate::{
    audit::{self, Actor, Entry},
    engine::Tx,
    ids::{TenantId, UserId},
    mail::{self, Email},
    services::Services,
};

/// The lifetime of the link at which an invited operator chooses a password.
pub const LINK_LIFE: Duration = Duration::from_hours(24);

/// The reasons why the operators are not changed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No operator has that id.
    #[error("no such operator")]
    Missing,
    /// The person is an operator already.
    #[error("is an operator already")]
    Already,
    /// Nobody could do everything any more.
    #[error("the last full operator stays")]
    Last,
    /// Too many letters went to the address.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
}

/// A new operator.
#[derive(Debug, Clone, Copy)]
pub struct NewOperator<'a> {
    /// The address to sign in with.
    pub email: &'a Address,
    /// The whole name, for somebody without an account.
    pub name: &'a str,
    /// The role.
    pub role: OperatorRole,
}

/// Makes a person an operator. Somebody without an account gets a letter with a link to choose a
/// password; others sign in as before. Needs the system scope.
///
/// # Errors
/// [`OperatorError::Already`], [`OperatorError::Throttled`].
pub async fn invite(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    new: NewOperator<'_>,
) -> Result<OperatorRow, OperatorError> {
    let user_id = store::ensure(tx, new.email).await?;
    let user = store::get(tx, user_id).await?.ok_or(OperatorError::Missing)?;
    if user.operator_role.is_some() {
        return Err(OperatorError::Already);
    }
    let names = Names::of(new.name);
    if user.email_verified_at.is_some() {
        let names = Names { first: &user.first_name, last: &user.last_name };
        store::make_operator(tx, user_id, new.role, names).await?;
    } else {
        store::make_operator(tx, user_id, new.role, names).await?;
        Throttle::RESET_LETTER.require(tx, &new.email.canonical()).await?;
        // A password that others registered for the address must not become an operator's.
        store::delete_links(tx, user_id).await?;
        let link_id = recover::insert_link(tx, user_id, LINK_LIFE).await?;
        mail::enqueue(tx, TenantId::SYSTEM, Email::OperatorInvitation { link_id }).await?;
    }
    let details = json!({ "email": new.email.as_str(), "role": new.role.name() });
    audit::append(tx, &services.keyring, actor, &[entry("operator.create", user_id, details)]).await?;
    store::get_operator(tx, user_id).await?.ok_or(OperatorError::Missing)
}

/// Gives an operator another role. Needs the system scope.
///
/// # Errors
/// [`OperatorError::Missing`], [`OperatorError::Last`].
pub async fn change_role(
    tx: &mut Tx,
    services: &Services,
    actor: &Actor,
    user_id: UserId,
    role: OperatorRole,
) -> Result<OperatorRow, OperatorError> {
    let before = leave_a_full_one(tx, user_id, Some(role)).await?;
    store::set_operator_role(tx, user_id, Some(role)).await?;
    let details = json!({ "before": before.name(), "after": role.name() });
    audit::append(tx, &services.keyring, actor, &[entry("operator.update", user_id, details)]).await?;
    store::get_operator(tx, user_id).await?.ok_or(OperatorError::Missing)
}

/// Ends somebody's access as an operator, and signs them out everywhere. Needs the system scope.
///
/// # Errors
/// [`OperatorError::Missing`], [`OperatorError::Last`].
pub async fn remove(tx: &mut Tx, services: &Services, actor: &Actor, user_id: UserId) -> Result<(), OperatorError> {
    let before = leave_a_full_one(tx, user_id, None).await?;
    let email = store::get_operator(tx, user_id).await?.map(|row| row.email);
    store::set_operator_role(tx, user_id, None).await?;
    sessions::revoke_all(tx, user_id).await?;
    store::delete_links(tx, user_id).await?;
    let details = json!({ "email": email, "before": before.name() });
    audit::append(tx, &services.keyring, actor, &[entry("operator.remove", user_id, details)]).await?;
    Ok(())
}

/// Makes sure that somebody else is a full operator if the person becomes something else. Returns
/// the role that the person has.
async fn leave_a_full_one(
    tx: &mut Tx,
    user_id: UserId,
    becomes: Option<OperatorRole>,
) -> Result<OperatorRole, OperatorError> {
    let is_last = is_last_full_one(tx, user_id).await?;
    let before = store::get_operator(tx, user_id).await?.ok_or(OperatorError::Missing)?.role;
    if becomes != Some(OperatorRole::Full) && is_last {
        return Err(OperatorError::Last);
    }
    Ok(before)
}

/// Locks the full operators who can sign in, so that one stays if two leave at once. Returns true
/// if the person is the only one. Needs the system scope.
pub(super) async fn is_last_full_one(tx: &mut Tx, user_id: UserId) -> Result<bool, sqlx::Error> {
    Ok(store::lock_full_operators(tx).await? == [user_id])
}

fn entry(action: &str, user_id: UserId, details: serde_json::Value) -> Entry {
    Entry::new(TenantId::SYSTEM, action, "user", user_id, details)
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{mail::SendMail, testing::Bench};

    async fn invited(bench: &Bench, email: &str, role: OperatorRole) -> Result<OperatorRow, OperatorError> {
        let email = Address::parse(email).unwrap();
        let new = NewOperator { email: &email, name: "Ada Lovelace", role };
        let mut tx = bench.engine.db.system().await.unwrap();
        let row = invite(&mut tx, &bench.engine.services, &Actor::command_line(), new).await?;
        tx.commit().await.unwrap();
        Ok(row)
    }

    async fn verify(bench: &Bench, user_id: UserId) {
        bench.execute("update users set email_verified_at = now() where id = $1", user_id.0).await;
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn an_invited_operator_gets_one_letter(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let row = invited(&bench, "ada@example.com", OperatorRole::ReadOnly).await.unwrap();
        assert_eq!((row.first_name.as_str(), row.role), ("Ada", OperatorRole::ReadOnly));
        let again = invited(&bench, "ADA@example.com", OperatorRole::Full).await.unwrap_err();
        assert!(matches!(again, OperatorError::Already), "{again}");
        let letters = bench.enqueued::<SendMail>().await;
        assert!(matches!(letters[..], [SendMail { email: Email::OperatorInvitation { .. }, .. }]), "{letters:?}");
        bench.drain().await;
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn the_last_full_operator_stays(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let ada = invited(&bench, "ada@example.com", OperatorRole::Full).await.unwrap().user_id;
        let bob = invited(&bench, "bob@example.com", OperatorRole::Full).await.unwrap().user_id;
        bench.drain().await;
        verify(&bench, ada).await;
        let (services, actor) = (&bench.engine.services, Actor::command_line());
        let mut tx = bench.engine.db.system().await.unwrap();
        let refused = remove(&mut tx, services, &actor, ada).await.unwrap_err();
        assert!(matches!(refused, OperatorError::Last), "the other one cannot sign in yet: {refused}");
        drop(tx);
        verify(&bench, bob).await;
        let mut tx = bench.engine.db.system().await.unwrap();
        let row = change_role(&mut tx, services, &actor, ada, OperatorRole::ReadOnly).await.unwrap();
        assert_eq!(row.role, OperatorRole::ReadOnly);
        let refused = change_role(&mut tx, services, &actor, bob, OperatorRole::ReadOnly).await.unwrap_err();
        assert!(matches!(refused, OperatorError::Last), "{refused}");
        remove(&mut tx, services, &actor, ada).await.unwrap();
        let missing = remove(&mut tx, services, &actor, ada).await.unwrap_err();
        assert!(matches!(missing, OperatorError::Missing), "{missing}");
        assert_eq!(store::list_operators(&mut tx, None, 10).await.unwrap().len(), 1);
    }
}
