//! Settings of the property tests.

use proptest::prelude::ProptestConfig;

/// A thousand cases a property; a hundred thousand with `scripts/test --long`.
pub(crate) fn cases() -> ProptestConfig {
    let is_long = std::env::var_os("LINECOOK_LONG").is_some();
    let cases = if is_long { 100_000 } else { 1_000 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
