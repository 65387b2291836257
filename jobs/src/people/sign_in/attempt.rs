//! Attempts to sign in, and the limits that they count against.

use std::time::Duration;

use super::ClientOrigin;
use crate::{
    engine::{Db, Tx},
    people::{known_client, throttle::Throttle},
    signer::Signer,
};

/// An attempt to sign in to an account.
pub(in crate::people) struct Attempt {
    /// The limit of a client that nobody knows, whatever account it tries.
    of_client: Option<String>,
    /// The limits of the account, narrowest first.
    of_account: Vec<(Throttle, String)>,
}

impl Attempt {
    /// An attempt from a client. A client that is known for the account counts by itself; all
    /// others share limits, which strangers may use up.
    pub(super) fn new(signer: &Signer, email_canonical: &str, from: &ClientOrigin) -> Self {
        let at = |place: &str| format!("{email_canonical}\0{place}");
        let known = from.known_as.as_ref().and_then(|code| known_client::read(signer, email_canonical, code));
        if let Some(client) = known {
            return Self { of_client: None, of_account: vec![(Throttle::KNOWN_CLIENT, at(&client.to_string()))] };
        }
        Self {
            of_client: Some(from.counted_as.clone()),
            of_account: vec![
                (Throttle::ACCOUNT, at(&from.counted_as)),
                (Throttle::ACCOUNT_NETWORK, at(&from.network)),
                (Throttle::ACCOUNT_ANYWHERE, email_canonical.to_owned()),
            ],
        }
    }

    /// An attempt of somebody who is signed in to an account, at its password.
    pub(in crate::people) fn of_signed_in(signer: &Signer, email_canonical: &str, from: &ClientOrigin) -> Self {
        Self { of_client: None, ..Self::new(signer, email_canonical, from) }
    }

    /// Counts the attempt. One that is refused does not use up the wider limits.
    ///
    /// # Errors
    /// Returns the time to wait if it is refused.
    pub(in crate::people) async fn count<E: From<sqlx::Error>>(
        &self,
        db: &Db,
        too_many: impl FnOnce(Duration) -> E,
    ) -> Result<(), E> {
        let mut tx = db.system().await?;
        let of_client = self.of_client.iter().map(|client| (Throttle::CLIENT, client));
        let mut wait = None;
        for (throttle, whom) in of_client.chain(self.of_account.iter().map(|(throttle, whom)| (*throttle, whom))) {
            if wait.is_none() {
                wait = throttle.take(&mut tx, whom).await?;
            }
        }
        tx.commit().await?;
        wait.map_or(Ok(()), |wait| Err(too_many(wait)))
    }

    /// Gives the account's limits back what a right password took. The attempts of others still
    /// count. Needs the system scope.
    pub(in crate::people) async fn forgive(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        for (throttle, whom) in &self.of_account {
            throttle.give_back(tx, whom).await?;
        }
        Ok(())
    }
}
