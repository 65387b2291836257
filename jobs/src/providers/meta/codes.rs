//! What Meta's error codes mean, and whether a write that was answered with one may have happened.
//!
//! Codes are compared as integers, never by the text around them.

use crate::engine::CauseClass;

/// What kind of refusal it is. Source: Graph API error codes, Pages and Login documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Passes by itself.
    Transient,
    /// Too many calls: wait.
    Rate,
    /// The connection needs its user again.
    Reauth,
    /// The user lacks, or did not give us, the right.
    Permission,
    /// The content is refused.
    Permanent,
    /// The same was posted just before.
    Duplicate,
    /// The provider wants us to slow down.
    Policy,
    /// Our own app is set up wrongly.
    Config,
    /// The login has to be started anew.
    RestartLogin,
    /// A code that is not in our table: whether a publish happened is open.
    Unknown,
}

impl Class {
    /// The class of the failures that it makes.
    #[must_use]
    pub fn cause(self) -> CauseClass {
        match self {
            Self::Transient => CauseClass::Transient,
            Self::Rate => CauseClass::Rate,
            Self::Reauth => CauseClass::Reauth,
            Self::Permission => CauseClass::Permission,
            Self::Permanent => CauseClass::Permanent,
            Self::Duplicate => CauseClass::Duplicate,
            Self::Policy => CauseClass::Policy,
            Self::Config => CauseClass::Config,
            Self::RestartLogin => CauseClass::RestartLogin,
            Self::Unknown => CauseClass::Unknown,
        }
    }

    /// The class of an error code with its subcode (0: none).
    #[must_use]
    pub fn of(code: i64, subcode: i64) -> Self {
        match (code, subcode) {
            (_, 1_346_003 | 1_349_125 | 1_366_046 | 1_404_102 | 1_609_008 | 2_061_006 | 2_069_019) => Self::Permanent,
            (_, 1_404_078) => Self::Permission,
            (190 | 102, _) | (_, 1_404_006 | 4_854_002) => Self::Reauth,
            (4, 2_207_051) | (368, _) | (_, 1_404_112) => Self::Policy,
            (100, 36_009) => Self::RestartLogin,
            (1 | 2, _) | (_, 1_363_047 | 1_609_010) => Self::Transient,
            (506, _) | (_, 1_366_051) => Self::Duplicate,
            (4 | 17 | 32 | 341 | 613 | 80_000..=80_014, _) => Self::Rate,
            (3 | 10 | 200..=299, _) | (100, 33) => Self::Permission,
            (101, _) => Self::Config,
            (100 | 324 | 1_609_005, _) => Self::Permanent,
            _ => Self::Unknown,
        }
    }

    /// What the class says to people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Transient => "Facebook had a hiccup.",
            Self::Unknown => "Facebook answered an error that we do not know.",
            Self::Rate => "Facebook asks us to wait: too many calls.",
            Self::Reauth => "Facebook no longer accepts the connection: connect the Page again.",
            Self::Permission => "Facebook misses a permission: connect the Page again and grant everything asked for.",
            Self::Permanent => "Facebook refuses the content: change the text or the picture.",
            Self::Duplicate => "Facebook says that the same was posted just before.",
            Self::Policy => "Facebook asks us to slow down.",
            Self::Config => "Our Facebook app is set up wrongly; an operator has to look.",
            Self::RestartLogin => "The Facebook login cannot be used any more: connect the Page again.",
        }
    }
}

/// What an error says about the write that it answers, if it carries no `original_response`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWrite {
    /// Refused before anything was written: it did not happen.
    Refused,
    /// It may have happened: it has to be read back.
    ReadBack,
}

impl OnWrite {
    /// The verdict for an error code with its subcode (0: none), answered with a status below 500. Whatever is answered with
    /// another status, or is not in this table, has to be read back.
    ///
    /// | code | verdict | source |
    /// |---|---|---|
    /// | 1, 2; subcodes 1363047, 1609010 | read back | Graph API error codes: "possibly a temporary issue", "service unavailable": neither says at which moment |
    /// | 4, 17, 32, 341, 613, 80000-80014 | refused | Graph API, "Rate limits": the call fails before it is carried out |
    /// | 4 / 2207051 | read back | Instagram error codes: an action that was blocked as spam, some of it may be out |
    /// | 3, 10, 200-299; 100 / 33; subcode 1404078 | refused | Graph API error codes, Pages API "Permissions": checked before the write |
    /// | 102, 190; subcodes 1404006, 4854002 | refused | Access tokens, "Debugging and error handling": the token is checked first |
    /// | 100, 324, 1609005; subcodes of bad content | refused | Graph API error codes: a parameter is invalid |
    /// | 101; 100 / 36009 | refused | Graph API error codes: the app, or the login, is not valid |
    /// | 368; subcode 1404112 | refused | Graph API error codes: "temporarily blocked" |
    /// | 506; subcode 1366051 | read back | Graph API error codes: the same was posted just before, perhaps by this very call |
    ///
    /// An error of the read that follows a write has the same codes ("Advanced Uses: Read-After-Write"). That is why a write
    /// asks for no fields, and why `original_response` is looked for first.
    #[must_use]
    pub fn of(code: i64, subcode: i64) -> Self {
        if (code, subcode) == (4, 2_207_051) {
            return Self::ReadBack;
        }
        match Class::of(code, subcode) {
            Class::Transient | Class::Duplicate | Class::Unknown => Self::ReadBack,
            Class::Rate
            | Class::Reauth
            | Class::Permission
            | Class::Permanent
            | Class::Policy
            | Class::Config
            | Class::RestartLogin => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_classes_and_say_whether_a_write_may_have_happened() {
        use OnWrite::{ReadBack, Refused};
        for (code, subcode, class, on_write) in [
            (1, 0, Class::Transient, ReadBack),
            (2, 0, Class::Transient, ReadBack),
            (4, 0, Class::Rate, Refused),
            (4, 2_207_051, Class::Policy, ReadBack),
            (10, 0, Class::Permission, Refused),
            (17, 2_446_079, Class::Rate, Refused),
            (32, 0, Class::Rate, Refused),
            (100, 0, Class::Permanent, Refused),
            (100, 33, Class::Permission, Refused),
            (100, 36_009, Class::RestartLogin, Refused),
            (101, 0, Class::Config, Refused),
            (102, 0, Class::Reauth, Refused),
            (190, 0, Class::Reauth, Refused),
            (190, 463, Class::Reauth, Refused),
            (200, 0, Class::Permission, Refused),
            (299, 0, Class::Permission, Refused),
            (324, 0, Class::Permanent, Refused),
            (368, 1_390_008, Class::Policy, Refused),
            (368, 1_346_003, Class::Permanent, Refused),
            (1, 1_366_046, Class::Permanent, Refused),
            (1, 1_609_010, Class::Transient, ReadBack),
            (100, 1_366_051, Class::Duplicate, ReadBack),
            (506, 0, Class::Duplicate, ReadBack),
            (999_999, 0, Class::Unknown, ReadBack),
            (613, 1_996, Class::Rate, Refused),
            (80_001, 0, Class::Rate, Refused),
        ] {
            assert_eq!((Class::of(code, subcode), OnWrite::of(code, subcode)), (class, on_write), "{code}/{subcode}");
        }
    }
}
