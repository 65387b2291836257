//! The meaning of Meta's error codes, also for a write that may have happened.
//!
//! Codes are compared as integers, never by their text.

use crate::providers::{Class, OnWrite};

/// Returns the class of an error code with its subcode (0 for none). Source: Graph API error codes,
/// Pages and Login documentation.
pub(super) fn class_of(code: i64, subcode: i64) -> Class {
    match (code, subcode) {
        (_, 1_346_003 | 1_349_125 | 1_366_046 | 1_404_102 | 1_609_008 | 2_061_006 | 2_069_019) => Class::Permanent,
        (_, 1_404_078) => Class::Permission,
        (190 | 102, _) | (_, 1_404_006 | 4_854_002) => Class::Reauth,
        (4, 2_207_051) | (368, _) | (_, 1_404_112) => Class::Policy,
        (100, 36_009) => Class::Restart,
        (1 | 2, _) | (_, 1_363_047 | 1_609_010) => Class::Transient,
        (506, _) | (_, 1_366_051) => Class::Duplicate,
        (4 | 17 | 32 | 341 | 613 | 80_000..=80_014, _) => Class::Rate,
        (3 | 10 | 200..=299, _) | (100, 33) => Class::Permission,
        (101, _) => Class::Config,
        (100 | 324 | 1_609_005, _) => Class::Permanent,
        _ => Class::Unknown,
    }
}

/// Returns the meaning of an error code with its subcode (0 for none) for the write that failed.
///
/// It applies to responses with a status below 500 and without an `original_response`. A response
/// with another status, or with a code that is not listed here, has to be read back.
///
/// Read back, because the write may have happened (source: Graph API error codes):
/// - 1, 2; subcodes 1363047, 1609010: "possibly a temporary issue", "service unavailable". Neither
///   says at which moment the call failed.
/// - 506; subcode 1366051: the same was posted just before, perhaps by this very call.
/// - 4 / 2207051 (source: Instagram error codes): an action that was blocked as spam. A part of it
///   may be published.
///
/// Refused, because the check comes before the write:
/// - 4, 17, 32, 341, 613, 80000-80014: the call fails before it is carried out. Source: Graph API,
///   "Rate limits".
/// - 3, 10, 200-299; 100 / 33; subcode 1404078: a permission is missing. Source: Graph API error
///   codes, Pages API "Permissions".
/// - 102, 190; subcodes 1404006, 4854002: the token is checked first. Source: Access tokens,
///   "Debugging and error handling".
/// - 100, 324, 1609005; subcodes of bad content: a parameter is invalid. Source: Graph API error
///   codes.
/// - 101; 100 / 36009: the app, or the login, is not valid. Source: Graph API error codes.
/// - 368; subcode 1404112: "temporarily blocked". Source: Graph API error codes.
///
/// An error of the read that follows a write has the same codes ("Advanced Uses:
/// Read-After-Write"). Therefore a write requests no fields, and `original_response` is looked for
/// first.
pub(super) fn on_write(code: i64, subcode: i64) -> OnWrite {
    if (code, subcode) == (4, 2_207_051) {
        return OnWrite::ReadBack;
    }
    match class_of(code, subcode) {
        Class::Transient | Class::Duplicate | Class::Unknown => OnWrite::ReadBack,
        Class::Rate
        | Class::Reauth
        | Class::Permission
        | Class::Permanent
        | Class::Policy
        | Class::Config
        | Class::Restart => OnWrite::Refused,
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
            (100, 36_009, Class::Restart, Refused),
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
            assert_eq!(
                (class_of(code, subcode), super::on_write(code, subcode)),
                (class, on_write),
                "{code}/{subcode}"
            );
        }
    }
}
