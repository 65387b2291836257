//! The missing object behind a constraint that refused a row, by the end of the constraint's name.
//!
//! Foreign keys are named `<table>_<columns>_fkey`, so a new table needs nothing here unless it
//! refers to a new sort of object. A foreign key refuses an object that never existed, such as the
//! account of a new post, or one that is being removed, as when a tenant is erased. Unique and
//! check constraints are checked earlier: a refusal by one is a bug (`internal`), as is one by a
//! foreign key that is not listed here.

/// Ends of foreign keys' names, each with the object that is missing. The first that fits counts.
const MISSING: [(&str, &str); 13] = [
    ("_tenant_id_fkey", "tenant"),
    ("_folder_id_fkey", "folder"),
    ("_account_id_fkey", "account"),
    ("_post_id_fkey", "post"),
    ("_calendar_id_fkey", "calendar"),
    ("_asset_id_fkey", "picture"),
    ("_asset_fkey", "picture"),
    ("_logo_fkey", "picture"),
    ("_source_fkey", "picture"),
    ("_user_id_fkey", "person"),
    ("_created_by_fkey", "person"),
    ("_invited_by_fkey", "person"),
    ("_session_id_fkey", "session"),
];

/// Returns the object that is missing, if this constraint means that.
pub(super) fn missing(constraint: &str) -> Option<&'static str> {
    MISSING.iter().find(|(end, _)| constraint.ends_with(end)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_to_a_tenant_is_one_to_a_tenant() {
        for table in ["jobs", "idempotency_keys", "audit_heads", "users_current", "a_table_to_come"] {
            assert_eq!(missing(&format!("{table}_tenant_id_fkey")), Some("tenant"), "{table}");
        }
    }

    #[test]
    fn a_reference_within_a_tenant_is_told_by_its_last_column() {
        for (constraint, what) in [
            ("brand_assets_tenant_id_folder_id_fkey", Some("folder")),
            ("tenant_settings_logo_fkey", Some("picture")),
            ("post_history_tenant_id_account_id_fkey", Some("account")),
            ("tenant_users_user_id_fkey", Some("person")),
            ("tenants_name_check", None),
            ("post_history_tenant_id_post_id_account_id_key", None),
            ("social_accounts_tenant_id_token_id_fkey", None),
        ] {
            assert_eq!(missing(constraint), what, "{constraint}");
        }
    }
}
