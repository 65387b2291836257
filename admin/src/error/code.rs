//! The stable codes of problems. docs/ERRORS.md has the meaning of each and what to do.

/// Makes the enum of a list. A code that nothing returns is dead code, which the compiler reports.
macro_rules! codes {
    ($($code:ident = $name:literal,)+) => {
        /// A stable code for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum ErrorCode {
            $($code,)+
        }

        impl ErrorCode {
            /// All codes.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$code,)+];

            /// Returns the code as clients read it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }
        }
    };
}

codes! {
    AddressTaken = "address_taken",
    AlreadyMember = "already_member",
    AlreadyScheduled = "already_scheduled",
    BadAfter = "bad_after",
    BadArgs = "bad_args",
    BadCaption = "bad_caption",
    BadCode = "bad_code",
    BadCopies = "bad_copies",
    BadEmail = "bad_email",
    BadFilter = "bad_filter",
    BadIdempotencyKey = "bad_idempotency_key",
    BadKey = "bad_key",
    BadKind = "bad_kind",
    BadLimit = "bad_limit",
    BadMonth = "bad_month",
    BadName = "bad_name",
    BadOutcome = "bad_outcome",
    BadQ = "bad_q",
    BadRefreshToken = "bad_refresh_token",
    BadRemoteId = "bad_remote_id",
    BadSelection = "bad_selection",
    BadSendAgain = "bad_send_again",
    BadSetting = "bad_setting",
    BadSignedRequest = "bad_signed_request",
    BadSince = "bad_since",
    BadSwap = "bad_swap",
    BadTags = "bad_tags",
    BadValue = "bad_value",
    Busy = "busy",
    ChainTooLong = "chain_too_long",
    ChildrenUnfinished = "children_unfinished",
    Disconnected = "disconnected",
    EffectHappened = "effect_happened",
    EffectSettled = "effect_settled",
    EmailNotVerified = "email_not_verified",
    FolderExists = "folder_exists",
    ForeignForm = "foreign_form",
    IdempotencyInFlight = "idempotency_in_flight",
    IdempotencyKeyReused = "idempotency_key_reused",
    InThePast = "in_the_past",
    Internal = "internal",
    JobSuspended = "job_suspended",
    LastOwner = "last_owner",
    LimitReached = "limit_reached",
    LiveTwin = "live_twin",
    Malformed = "malformed",
    MethodNotAllowed = "method_not_allowed",
    MissingPermission = "missing_permission",
    NameAndPassword = "name_and_password",
    NoCaption = "no_caption",
    NoChange = "no_change",
    NoSecondFactor = "no_second_factor",
    NoTenant = "no_tenant",
    NotAPicture = "not_a_picture",
    NotConfigured = "not_configured",
    NotConfirmed = "not_confirmed",
    NotConsumed = "not_consumed",
    NotFound = "not_found",
    NotLookedFor = "not_looked_for",
    NotTwoClaims = "not_two_claims",
    OperatorsOnly = "operators_only",
    OriginNotListed = "origin_not_listed",
    OutcomeUnknown = "outcome_unknown",
    OwnersOnly = "owners_only",
    ParentCancelled = "parent_cancelled",
    PasswordNeeded = "password_needed",
    PeopleOnly = "people_only",
    PlanByOperators = "plan_by_operators",
    PlanLimit = "plan_limit",
    RateLimited = "rate_limited",
    Refused = "refused",
    RemoteIdTaken = "remote_id_taken",
    RepeatedParameter = "repeated_parameter",
    SecondFactorExists = "second_factor_exists",
    SecondFactorRequired = "second_factor_required",
    SignInAgain = "sign_in_again",
    SignInExpired = "sign_in_expired",
    SignUpClosed = "sign_up_closed",
    StateChanging = "state_changing",
    StillLooking = "still_looking",
    TooLarge = "too_large",
    TooLate = "too_late",
    TooManyChildren = "too_many_children",
    TooManyStreams = "too_many_streams",
    TooManyTenants = "too_many_tenants",
    TooManyTries = "too_many_tries",
    TooSlow = "too_slow",
    TookTooLong = "took_too_long",
    Unauthorized = "unauthorized",
    Unavailable = "unavailable",
    UnknownKind = "unknown_kind",
    UnknownParameter = "unknown_parameter",
    UnknownPermission = "unknown_permission",
    UnsupportedMediaType = "unsupported_media_type",
    WeakPassword = "weak_password",
    WrongCode = "wrong_code",
    WrongPassword = "wrong_password",
    WrongState = "wrong_state",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_of_errors_has_every_code_and_no_other() {
        let table = include_str!("../../../docs/ERRORS.md").lines().filter_map(|line| line.strip_prefix("| `"));
        let documented: Vec<&str> = table.filter_map(|line| line.split('`').next()).collect();
        let known: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        let undocumented: Vec<&&str> = known.iter().filter(|code| !documented.contains(code)).collect();
        assert!(undocumented.is_empty(), "say in docs/ERRORS.md what these mean: {undocumented:?}");
        let unused: Vec<&&str> = documented.iter().filter(|code| !known.contains(*code)).collect();
        assert!(unused.is_empty(), "nothing answers these: {unused:?}");
        assert_eq!(
            (known.len(), documented.len()),
            (ErrorCode::ALL.len(), ErrorCode::ALL.len()),
            "each stands there once"
        );
    }
}
