//! The list of all kinds of job. The worker runs them, the API accepts and describes them, tests
//! check their names.

use serde_json::Value;

use crate::{
    assets::RenderOverlay,
    audit::AnchorAuditLog,
    calendar::{GenerateCalendar, WriteCaption},
    connections::{
        CheckToken, CheckTokens, ConnectWorkspace, Deauthorize, DisconnectAccount, ExchangeOauthCode, PruneConnections,
        RefreshToken, RefreshTokens,
    },
    engine::{Kind, Periodic, REDACTED},
    mail::SendMail,
    noop::Noop,
    operations::{ActOnJobs, ReportPoison},
    people::{EraseUser, PrunePeople},
    posts::{DeleteStagedPictures, PublishPost},
    tenants::EraseTenant,
    upkeep::{CountFigures, IndexWords, PruneHistory, PruneIdempotencyKeys, RotateEncryptionKeys},
};

/// Every kind.
pub static KINDS: &[Kind] = &[
    Kind::of::<ExchangeOauthCode>(),
    Kind::of::<RefreshToken>(),
    Kind::of::<RefreshTokens>(),
    Kind::of::<CheckToken>(),
    Kind::of::<CheckTokens>(),
    Kind::of::<ConnectWorkspace>(),
    Kind::of::<DisconnectAccount>(),
    Kind::of::<Deauthorize>(),
    Kind::of::<PruneConnections>(),
    Kind::of::<GenerateCalendar>(),
    Kind::of::<WriteCaption>(),
    Kind::of::<RenderOverlay>(),
    Kind::of::<PublishPost>(),
    Kind::of::<DeleteStagedPictures>(),
    Kind::of::<SendMail>(),
    Kind::of::<ActOnJobs>(),
    Kind::of::<CountFigures>(),
    Kind::of::<IndexWords>(),
    Kind::of::<PruneHistory>(),
    Kind::of::<PrunePeople>(),
    Kind::of::<EraseUser>(),
    Kind::of::<AnchorAuditLog>(),
    Kind::of::<ReportPoison>(),
    Kind::of::<EraseTenant>(),
    Kind::of::<PruneIdempotencyKeys>(),
    Kind::of::<RotateEncryptionKeys>(),
    Kind::of::<Noop>(),
    #[cfg(feature = "testing")]
    Kind::of::<crate::fault_probe::FaultProbe>(),
    #[cfg(feature = "testing")]
    Kind::of::<crate::fault_probe::ShortTimeoutProbe>(),
    #[cfg(feature = "testing")]
    Kind::of::<crate::fault_probe::TokenProbe>(),
];

/// The periodic jobs of the system tenant: minute, hour, day, month, weekday, UTC.
pub static PERIODIC: &[Periodic] = &[
    Periodic::of::<AnchorAuditLog>("anchor_audit_log", "*/5 * * * *"),
    Periodic::of::<CheckTokens>("check_tokens", "53 * * * *"),
    Periodic::of::<CountFigures>("count_figures", "* * * * *"),
    Periodic::of::<IndexWords>("index_words", "* * * * *"),
    Periodic::of::<PruneConnections>("prune_connections", "11 * * * *"),
    Periodic::of::<PruneHistory>("prune_history", "*/10 * * * *"),
    Periodic::of::<PrunePeople>("prune_people", "41 * * * *"),
    Periodic::of::<PruneIdempotencyKeys>("prune_idempotency_keys", "7,37 * * * *"),
    Periodic::of::<RefreshTokens>("refresh_tokens", "23 * * * *"),
    Periodic::of::<ReportPoison>("report_poison", "*/5 * * * *"),
    Periodic::of::<RotateEncryptionKeys>("rotate_encryption_keys", "17 3 * * *"),
];

/// Returns the kind of that name if tenants may have jobs of it. Periodic kinds are for the system
/// only.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name && PERIODIC.iter().all(|periodic| periodic.kind.name != name))
}

/// Returns a payload as people may see it. The payload of an unknown kind is hidden, because its
/// secret fields are unknown too.
#[must_use]
pub fn shown(kind: &str, args: Value) -> Value {
    match KINDS.iter().find(|known| known.name == kind) {
        Some(kind) => kind.shown(args),
        None => Value::from(REDACTED),
    }
}

/// Returns the kinds that this process runs: every one.
#[cfg(not(feature = "testing"))]
#[must_use]
pub fn run_here() -> &'static [Kind] {
    KINDS
}

/// Returns the kinds that this process runs. Like an older version, it leaves out those that
/// `LINECOOK_WITHOUT_KINDS` names.
#[cfg(feature = "testing")]
#[must_use]
pub fn run_here() -> &'static [Kind] {
    static HERE: std::sync::LazyLock<Vec<Kind>> = std::sync::LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "no setting of a release: there is no such feature in one")]
        let without = std::env::var("LINECOOK_WITHOUT_KINDS").unwrap_or_default();
        KINDS.iter().filter(|kind| !without.split(',').any(|name| name == kind.name)).copied().collect()
    });
    &HERE
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use chrono::DateTime;

    use super::*;
    use crate::{engine::periodic::next_tick, tenants::permissions};

    /// Collects the kinds that files in a folder declare, each with its file. Tests and the engine
    /// have their own kinds.
    fn declared(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !matches!(name, "engine" | "tests") {
                declared(&path, found);
            } else if path.is_file() && (cfg!(feature = "testing") || name != "fault_probe.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let kinds =
                    text.split("const KIND: &'static str = \"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(kinds.map(|kind| (kind.to_owned(), path.display().to_string())));
            }
        }
    }

    #[test]
    fn every_kind_that_a_file_declares_is_listed() {
        let mut found = Vec::new();
        declared(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
        for (kind, file) in found {
            let is_listed = KINDS.iter().any(|known| known.name == kind);
            assert!(
                is_listed,
                "{file}: nobody runs {kind}; write `Kind::of::<...>()` into KINDS in jobs/src/kinds.rs (docs/ADDING-A-JOB.md)"
            );
        }
    }

    #[test]
    fn names_are_words_and_unique() {
        let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    #[test]
    fn periodic_kinds_are_listed_take_no_payload_and_come_again() {
        let names: BTreeSet<&str> = PERIODIC.iter().map(|periodic| periodic.name).collect();
        assert_eq!(names.len(), PERIODIC.len());
        for periodic in PERIODIC {
            assert!(KINDS.iter().any(|kind| kind.name == periodic.kind.name), "{}", periodic.name);
            assert!((periodic.kind.check)(serde_json::json!({})).is_ok(), "{}", periodic.name);
            assert!(next_tick(periodic.cron, DateTime::UNIX_EPOCH).is_some(), "{}", periodic.name);
            assert!(find(periodic.kind.name).is_none(), "{}", periodic.name);
        }
    }

    #[test]
    fn a_kind_is_found_by_its_name() {
        assert_eq!(find("publish_post").map(|kind| kind.queue.name()), Some("posting"));
        assert!(find("nope").is_none());
        for kind in ["erase_tenant", "erase_user", "send_mail", "act_on_jobs"] {
            assert!(find(kind).is_some_and(|kind| kind.permission.is_none()), "{kind}");
        }
    }

    #[test]
    fn a_kind_asks_for_a_permission_that_there_is() {
        for kind in KINDS {
            assert!(
                kind.permission.is_none_or(|permission| permissions::ALL.contains(&permission)),
                "{}: its PERMISSION is none of ALL in jobs/src/tenants/permissions.rs",
                kind.name
            );
        }
    }

    #[test]
    fn a_payload_of_another_kind_is_refused() {
        let kind = find("publish_post").unwrap();
        assert!((kind.check)(serde_json::json!({ "calendar_id": "x" })).is_err());
    }
}
