//! Our apps at the providers, and where the providers are.

use secrecy::SecretString;
use url::Url;

/// The apps that people sign in with, and where Google and GitHub are.
#[derive(Debug, Clone, clap::Args)]
pub struct ExternalLoginConfig {
    /// The id of the app at Google; without one, signing in with Google is not offered.
    #[arg(long, env = "GOOGLE_CLIENT_ID")]
    pub google_client_id: Option<String>,
    /// The secret of that app.
    #[arg(long, env = "GOOGLE_CLIENT_SECRET", hide_env_values = true, value_parser = crate::config::secret)]
    pub google_client_secret: Option<SecretString>,
    /// Google's page on which people sign in.
    #[arg(long, env = "GOOGLE_AUTH_URL", default_value = "https://accounts.google.com/o/oauth2/v2/auth")]
    pub google_auth_url: Url,
    /// Where Google exchanges codes for tokens.
    #[arg(long, env = "GOOGLE_TOKEN_URL", default_value = "https://oauth2.googleapis.com/token")]
    pub google_token_url: Url,
    /// Base address of Google's APIs.
    #[arg(long, env = "GOOGLE_API_URL", default_value = "https://www.googleapis.com")]
    pub google_api_url: Url,
    /// The id of the OAuth app at GitHub; without one, signing in with GitHub is not offered.
    #[arg(long, env = "GITHUB_CLIENT_ID")]
    pub github_client_id: Option<String>,
    /// The secret of that app.
    #[arg(long, env = "GITHUB_CLIENT_SECRET", hide_env_values = true, value_parser = crate::config::secret)]
    pub github_client_secret: Option<SecretString>,
    /// Base address of GitHub's pages.
    #[arg(long, env = "GITHUB_URL", default_value = "https://github.com")]
    pub github_url: Url,
    /// Base address of GitHub's API.
    #[arg(long, env = "GITHUB_API_URL", default_value = "https://api.github.com")]
    pub github_api_url: Url,
}
