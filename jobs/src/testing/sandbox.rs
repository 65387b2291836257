//! A world in the sandbox process.

use std::time::Duration;

use reqwest::header;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::ENCRYPTION_KEYS;
use crate::{
    config::{KeyringConfig, ServicesConfig, UpkeepConfig},
    connections::{ConnectionsConfig, SharedAccounts},
    mail::MailConfig,
    people::PeopleConfig,
    providers::{ProvidersConfig, ai::AiConfig, http},
    tenants::plans::PlansConfig,
};

/// Returns the emails to an address, oldest first, as a mail program sees them: `{"headers":
/// {"subject": ["..."]}, "plain": "...", "html": "..."}`.
///
/// # Panics
/// If `scripts/test` did not start the mail server.
#[must_use]
pub fn emails_to(address: &str) -> Vec<Value> {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
    let folder = std::env::var("MAIL_SERVER_DIR").expect("MAIL_SERVER_DIR is set: run the tests by scripts/test");
    let Ok(files) = std::fs::read_dir(std::path::Path::new(&folder).join(address)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path| serde_json::from_slice(&std::fs::read(path).expect("an email")).expect("an email");
    paths.into_iter().map(read).collect()
}

/// Returns the mail server of `scripts/test`. Without one, no mail is sent.
fn mail_config() -> MailConfig {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
    let url = std::env::var("MAIL_SERVER_URL").ok();
    MailConfig {
        smtp_url: url.map(SecretString::from),
        mail_from: Some("Linecook <linecook@example.com>".to_owned()),
        alert_email: Some("operators@example.com".to_owned()),
    }
}

/// A separate world in the sandbox process.
#[derive(Debug)]
pub struct Sandbox {
    /// The world's address; the providers are below it.
    pub base: String,
    client: reqwest::Client,
    storage: Url,
}

impl Sandbox {
    /// Makes a new world.
    ///
    /// # Panics
    /// If `scripts/test` did not start the sandbox.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default world would not be a new one")]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests are configured by scripts/test")]
        let url = std::env::var("SANDBOX_URL").expect("SANDBOX_URL is set: run the tests by scripts/test");
        let folder = std::env::temp_dir().join(format!("linecook-test-{}", Uuid::now_v7()));
        Self {
            base: format!("{url}/{}", Uuid::now_v7()),
            client: http::client(),
            storage: Url::from_directory_path(folder).expect("an absolute folder"),
        }
    }

    /// Returns a configuration whose providers are this world.
    ///
    /// # Panics
    /// If the sandbox's address is malformed.
    #[must_use]
    pub fn services_config(&self) -> ServicesConfig {
        ServicesConfig {
            keys: KeyringConfig { encryption_keys: ENCRYPTION_KEYS.into() },
            secret_key: "a-secret-key-for-tests-and-nothing-else".into(),
            storage_url: self.storage.clone(),
            dyno: None,
            railway_environment_id: None,
            public_url: Url::parse("http://127.0.0.1:1").expect("an address"),
            upkeep: UpkeepConfig {
                job_history_days: 30,
                job_history_discarded_days: 90,
                job_history_rows: 1_000_000,
                effect_history_days: 400,
                token_refresh_threshold_days: 7,
                token_refresh_interval: Duration::from_hours(24),
            },
            // Low limits on the plan basic, so that tests reach them; no limits for the bench's
            // tenant.
            plans: PlansConfig {
                post_limit_basic: 10,
                post_limit_pro: u32::MAX,
                post_limit_enterprise: u32::MAX,
                image_limit_basic: 10,
                image_limit_pro: u32::MAX,
                image_limit_enterprise: u32::MAX,
                ai_limit_basic: 10,
                ai_limit_pro: u32::MAX,
                ai_limit_enterprise: u32::MAX,
            },
            providers: ProvidersConfig::of_sandbox(&self.base),
            connections: ConnectionsConfig { shared_accounts: SharedAccounts::Allowed },
            ai: AiConfig {
                openai_api_key: Some("sk-sandbox".into()),
                openai_base_url: format!("{}/openai/v1", self.base).parse().expect("an address"),
                gpt_text_model: "gpt-4o".to_owned(),
            },
            mail: mail_config(),
            people: PeopleConfig::default(),
        }
    }

    /// Logs a person in through the dialog. Returns the code that the browser brings back.
    ///
    /// # Panics
    /// If the dialog refuses.
    pub async fn log_in(&self, dialog: Url) -> SecretString {
        let answer = self.client.get(dialog).send().await.expect("the dialog answers");
        let location = answer.headers()[header::LOCATION].to_str().expect("an address");
        let url = Url::parse(location).expect("an address");
        let code = url.query_pairs().find(|(key, _)| key == "code").expect("a code").1.into_owned();
        code.into()
    }

    /// Calls the sandbox's control API.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}/control/{path}", self.base)).json(&body);
        let answer = request.send().await.expect("the sandbox answers");
        let status = answer.status();
        let body = answer.text().await.expect("an answer");
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// Makes the next calls of an operation fail, as the control API's `faults` describes.
    pub async fn fault(&self, operation: &str, mut fault: Value) {
        fault["operation"] = json!(operation);
        self.control("faults", fault).await;
    }

    /// Makes the Graph API refuse the next call.
    pub async fn graph_error(&self, operation: &str, code: i64, subcode: i64) {
        let error = json!({ "code": code, "subcode": subcode, "message": "refused by the test" });
        self.fault(operation, json!({ "graph_error": error })).await;
    }

    /// Returns what the sandbox recorded, from its control API.
    ///
    /// # Panics
    /// If the sandbox does not respond.
    pub async fn observe(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}/control/{path}", self.base)).send().await;
        answer.expect("the sandbox answers").json().await.expect("JSON")
    }

    /// Returns the published posts.
    ///
    /// # Panics
    /// If the sandbox does not respond.
    pub async fn effects(&self) -> Vec<Value> {
        self.observe("effects").await["items"].as_array().cloned().unwrap_or_default()
    }

    /// Returns the number of calls of an operation.
    ///
    /// # Panics
    /// If the sandbox does not respond.
    pub async fn calls(&self, operation: &str) -> u64 {
        self.observe("calls").await["counts"][operation].as_u64().unwrap_or(0)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Ok(folder) = self.storage.to_file_path() {
            // A leftover in the temporary folder does not matter.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
