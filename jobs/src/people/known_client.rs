//! Clients from which a person signed in before. A signed cookie names such a client, so its
//! attempts count separately from those of strangers. Otherwise strangers could keep the owner of
//! an account out.

use uuid::Uuid;

use crate::signer::Signer;

/// Returns the code by which a client is known for an account from now on. The code signs nobody
/// in.
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
