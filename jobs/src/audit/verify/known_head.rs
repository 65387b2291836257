//! The end of the operators' chain, as somebody keeps it outside the database.

use std::{fmt, str::FromStr};

use crate::audit::chain::Head;

/// The end of the operators' chain at some time, written `<place>:<mac in hex>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHead {
    pub(super) seq: i64,
    pub(super) mac: Vec<u8>,
}

impl KnownHead {
    pub(in crate::audit) fn of(head: &Head) -> Option<Self> {
        head.mac.clone().map(|mac| Self { seq: head.seq, mac })
    }
}

impl fmt::Display for KnownHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(&self.mac))
    }
}

/// A text that is not a head.
#[derive(Debug, thiserror::Error)]
#[error("write it as `admin verify-audit` printed it: a number, a colon and 64 hexadecimal digits")]
pub struct NoHead;

impl FromStr for KnownHead {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        let (seq, mac) = text.trim().split_once(':').ok_or(NoHead)?;
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or(NoHead)?;
        let mac = hex::decode(mac).ok().filter(|mac| mac.len() == 32).ok_or(NoHead)?;
        Ok(Self { seq, mac })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written_and_nothing_else_is_one() {
        let text = format!("17:{}", "0a".repeat(32));
        assert_eq!(text.parse::<KnownHead>().unwrap().to_string(), text);
        for text in ["", "17", "17:", "0:00", ":0a", &text[1..], &text[..60], &format!("-{text}"), &format!("{text}00")]
        {
            let is_its_own_head = text.starts_with("7:");
            assert_eq!(text.parse::<KnownHead>().is_ok(), is_its_own_head, "{text}");
        }
    }
}
