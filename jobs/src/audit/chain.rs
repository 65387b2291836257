//! Signs entries and heads.
//!
//! A MAC covers every column, each with its length in front, so that no two entries have the same
//! message.

use uuid::Uuid;

use crate::{
    ids::TenantId,
    secrets::{Keyring, Mac, SecretError},
};

const ENTRIES: &str = "audit_log";
const HEADS: &str = "audit_heads";

/// The predecessor of the first entry of a chain.
pub(super) const START: [u8; 32] = [0; 32];

/// The predecessor of an entry after a head that was tampered with. It is the MAC of no entry, so
/// the break stays visible.
pub(super) const BROKEN: [u8; 32] = [0xff; 32];

/// The columns that an entry's MAC covers, without the preceding entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed<'a> {
    pub(super) tenant_id: TenantId,
    pub(super) seq: i64,
    pub(super) id: Uuid,
    pub(super) created_at_us: i64,
    pub(super) actor_id: Uuid,
    pub(super) actor_kind: &'a str,
    pub(super) actor_name: &'a str,
    pub(super) remote_address: Option<&'a str>,
    pub(super) action: &'a str,
    pub(super) object_type: &'a str,
    pub(super) object_id: &'a str,
    pub(super) details: &'a str,
}

impl Sealed<'_> {
    pub(super) fn sign(&self, keyring: &Keyring, before: &[u8]) -> Mac {
        keyring.mac(ENTRIES, &self.message(before))
    }

    pub(super) fn verify(&self, keyring: &Keyring, before: &[u8], key_id: &str, mac: &[u8]) -> Result<(), SecretError> {
        keyring.verify(ENTRIES, &self.message(before), key_id, mac)
    }

    fn message(&self, before: &[u8]) -> Vec<u8> {
        let mut message = Message::default();
        message.add(self.tenant_id.0.as_bytes());
        message.add(&self.seq.to_be_bytes());
        message.add(before);
        message.add(self.id.as_bytes());
        message.add(&self.created_at_us.to_be_bytes());
        message.add(self.actor_id.as_bytes());
        message.add(self.actor_kind.as_bytes());
        message.add(self.actor_name.as_bytes());
        message.add_optional(self.remote_address.map(str::as_bytes));
        message.add(self.action.as_bytes());
        message.add(self.object_type.as_bytes());
        message.add(self.object_id.as_bytes());
        message.add(self.details.as_bytes());
        message.0
    }
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the names of the columns")]
pub(super) struct Head {
    pub(super) tenant_id: TenantId,
    pub(super) seq: i64,
    pub(super) mac: Option<Vec<u8>>,
    pub(super) anchored_seq: i64,
    pub(super) is_ending: bool,
    pub(super) key_id: Option<String>,
    pub(super) head_mac: Option<Vec<u8>>,
}

impl Head {
    /// Verifies that the head is as the application left it.
    pub(super) fn verify(&self, keyring: &Keyring) -> Result<(), SecretError> {
        match (&self.key_id, &self.head_mac) {
            (Some(key_id), Some(mac)) => keyring.verify(HEADS, &self.message(), key_id, mac),
            (None, None) if self.is_new() => Ok(()),
            (_, _) => Err(SecretError::Refused),
        }
    }

    pub(super) fn sign(&mut self, keyring: &Keyring) {
        let Mac { key_id, bytes } = keyring.mac(HEADS, &self.message());
        (self.key_id, self.head_mac) = (Some(key_id), Some(bytes.to_vec()));
    }

    /// Returns the predecessor of the next entry.
    ///
    /// # Errors
    /// Returns an error if the keyring has not the key that signed the head. The key may be new,
    /// and this process old.
    pub(super) fn before(&self, keyring: &Keyring) -> Result<Vec<u8>, SecretError> {
        match self.verify(keyring) {
            Ok(()) => Ok(self.mac.clone().unwrap_or_else(|| START.to_vec())),
            Err(error @ SecretError::UnknownKey(_)) => Err(error),
            Err(SecretError::Refused | SecretError::Malformed) => {
                tracing::error!(tenant_id = %self.tenant_id, seq = self.seq, "the head of an audit log was tampered with");
                Ok(BROKEN.to_vec())
            }
        }
    }

    fn is_new(&self) -> bool {
        self.seq == 0 && self.mac.is_none() && self.anchored_seq == 0 && !self.is_ending
    }

    fn message(&self) -> Vec<u8> {
        let mut message = Message::default();
        message.add(self.tenant_id.0.as_bytes());
        message.add(&self.seq.to_be_bytes());
        message.add_optional(self.mac.as_deref());
        message.add(&self.anchored_seq.to_be_bytes());
        message.add(&[u8::from(self.is_ending)]);
        message.0
    }
}

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn add(&mut self, part: &[u8]) {
        let length = u64::try_from(part.len()).expect("a length of 64 bits");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(part);
    }

    fn add_optional(&mut self, part: Option<&[u8]>) {
        self.0.push(u8::from(part.is_some()));
        self.add(part.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Sealed<'static> {
        Sealed {
            tenant_id: TenantId(Uuid::nil()),
            seq: 1,
            id: Uuid::nil(),
            created_at_us: 1,
            actor_id: Uuid::nil(),
            actor_kind: "key",
            actor_name: "name",
            remote_address: None,
            action: "job.retry",
            object_type: "job",
            object_id: "1",
            details: "{}",
        }
    }

    #[test]
    fn no_two_entries_have_one_message() {
        let messages = [
            sealed(),
            Sealed { actor_kind: "keyn", actor_name: "ame", ..sealed() },
            Sealed { remote_address: Some(""), ..sealed() },
            Sealed { object_type: "jo", object_id: "b1", ..sealed() },
            Sealed { object_type: "job1", object_id: "", ..sealed() },
            Sealed { object_id: "1{}", details: "", ..sealed() },
            Sealed { seq: 1 << 8, ..sealed() },
        ]
        .map(|sealed| sealed.message(&START));
        for (place, message) in messages.iter().enumerate() {
            assert!(!messages[..place].contains(message), "{place}");
        }
        assert_ne!(sealed().message(&START), sealed().message(&BROKEN));
    }
}
