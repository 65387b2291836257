//! The list of all providers that this version supports.

use super::{Listing, github, google, meta, publer};

/// Lists each folder with its `Config` and its `LISTING`.
macro_rules! providers {
    ($($(#[$doc:meta])* $folder:ident,)*) => {
        /// The settings of all providers. Each is optional: a provider without an app is not
        /// offered.
        #[derive(Debug, Clone, clap::Args)]
        pub struct ProvidersConfig {
            $($(#[$doc])* #[command(flatten)] pub $folder: $folder::Config,)*
        }

        #[cfg(any(test, feature = "testing"))]
        impl ProvidersConfig {
            /// Returns the settings for a world in the sandbox, whose providers are below `base`.
            #[must_use]
            pub fn of_sandbox(base: &str) -> Self {
                Self { $($folder: $folder::Config::of_sandbox(base),)* }
            }
        }

        /// Every provider that this version supports.
        pub static LIST: &[Listing] = &[$($folder::LISTING,)*];
    };
}

providers! {
    /// Facebook Pages.
    meta,
    /// Google.
    google,
    /// GitHub.
    github,
    /// Publer.
    publer,
}
