//! Clients from which somebody signed in before. A signed cookie names one, so that its attempts count apart from those of
//! strangers, who could otherwise keep the owner of an account out.

use uuid::Uuid;

use crate::signer::Signer;

/// Returns the code by which a client is known for an account from now on. It lets nobody in.
#[must_use]
pub fn issue(signer: &Signer, email_canonical: &str) -> String {
    signer.code(&purpose(email_canonical), Uuid::new_v4())
}

/// Returns the client that a code names, if it is known for that account.
pub(super) fn read(signer: &Signer, email_canonical: &str, code: &str) -> Option<Uuid> {
    signer.read(&purpose(email_canonical), code)
}

fn purpose(email_canonical: &str) -> String {
    format!("known_client:{email_canonical}")
}
