//! Guesses of codes, and the limits that they count against.

use std::time::Duration;

use crate::{
    engine::{Db, Tx},
    people::{known_client, sign_in::ClientOrigin, store::UserRow, throttle::Throttle},
    signer::Signer,
};

/// A guess of a person's code. Only those who know the password come so far, and a client from
/// which the person signed in before counts apart: nobody else keeps the person out.
pub(in crate::people) struct Guess {
    whom: String,
}

impl Guess {
    /// Counts a guess. It counts whatever becomes of it, until [`Guess::forgive`].
    ///
    /// # Errors
    /// Returns the time to wait if it is refused.
    pub(in crate::people) async fn count<E: From<sqlx::Error>>(
        db: &Db,
        signer: &Signer,
        user: &UserRow,
        from: &ClientOrigin,
        too_many: impl FnOnce(Duration) -> E,
    ) -> Result<Self, E> {
        let known = from.known_as.as_ref().and_then(|code| known_client::read(signer, &user.email_canonical, code));
        let whom = known.map_or_else(|| user.id.to_string(), |client| format!("{}\0{client}", user.id));
        let mut tx = db.system().await?;
        let wait = Throttle::SECOND_FACTOR.take(&mut tx, &whom).await?;
        tx.commit().await?;
        wait.map_or(Ok(Self { whom }), |wait| Err(too_many(wait)))
    }

    /// Takes a right code out of the count. Needs the system scope.
    pub(in crate::people) async fn forgive(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        Throttle::SECOND_FACTOR.give_back(tx, &self.whom).await
    }
}
