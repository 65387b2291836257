//! OpenAI: structured responses of a chat model.

use std::{error::Error as StdError, time::Duration};

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    middleware::HttpRequestFactory,
    types::chat::{
        ChatCompletionRequestMessage, ChatCompletionRequestSystemMessageArgs, ChatCompletionRequestUserMessageArgs,
        CreateChatCompletionRequestArgs, FinishReason, ResponseFormat, ResponseFormatJsonSchema,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::service_fn;
use url::Url;

use super::{redact::redact, storable::storable};
use crate::{
    engine::{Cause, CauseClass, JobError},
    value_parsers::{ServiceUrlParser, secret},
};

/// The setting without which AI writes nothing.
pub const SETTING: &str = "OPENAI_API_KEY";

/// The maximum time of a response.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// The maximum time of the check of a key, for which a person waits.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The model, and the address of its API.
#[derive(Debug, Clone, clap::Args)]
pub struct AiConfig {
    /// The API key. Without it, AI writes nothing.
    #[arg(long, env = SETTING, hide_env_values = true, value_parser = secret)]
    pub openai_api_key: Option<SecretString>,
    /// The base address of the API.
    #[arg(long, env = "OPENAI_BASE_URL", value_parser = ServiceUrlParser, default_value = "https://api.openai.com/v1")]
    pub openai_base_url: Url,
    /// The model that writes.
    #[arg(long, env = "GPT_TEXT_MODEL", default_value = "gpt-4o")]
    pub gpt_text_model: String,
}

/// The name of the service for people.
pub const LABEL: &str = "OpenAI";

/// A client of the model.
#[derive(Debug, Clone)]
pub struct Ai {
    http: reqwest::Client,
    base: String,
    /// `None` without a key.
    key: Option<SecretString>,
    model: String,
}

/// A question to the model.
#[derive(Debug, Clone)]
pub struct Question {
    /// A name for the response's schema, of letters and `_`.
    pub name: &'static str,
    /// The response's JSON schema, by the rules of strict structured outputs: every property is
    /// required, and no others are allowed.
    pub schema: Value,
    /// The role of the model (the system prompt).
    pub system: &'static str,
    /// The question (the user prompt).
    pub user: String,
}

/// A message of the service, or an error on the way to it, without possible secrets. Services may
/// repeat wrong keys.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProviderMessage(String);

/// A question without a usable response.
#[derive(Debug, thiserror::Error)]
pub enum AiError {
    /// There is no key.
    #[error("{SETTING} is not set")]
    NotConfigured,
    /// The service did not respond, or reported a failure.
    #[error("the language model did not respond")]
    NoAnswer(#[source] ProviderMessage),
    /// The rate limit is reached.
    #[error("the rate limit of the language model is reached")]
    Rate(#[source] ProviderMessage),
    /// The key is wrong, or was revoked. Whoever set it has to look.
    #[error("the language model refuses the key")]
    Key(#[source] ProviderMessage),
    /// The account has no credit, or the request is malformed. Whoever set the key has to look.
    #[error("the language model refuses the account or the request")]
    Config(#[source] ProviderMessage),
    /// The model declined to respond.
    #[error("the language model declined the request: {0}")]
    Declined(String),
    /// The response is truncated, or does not match the schema.
    #[error("the response of the language model cannot be used: {0}")]
    Unusable(String),
}

impl Ai {
    /// Returns a client of the configured model.
    ///
    /// It uses the network directly, because async-openai's default service would retry failed
    /// requests for minutes. Retries belong to the ledger.
    ///
    /// # Panics
    /// If the TLS backend cannot be set up, which the build decides.
    #[must_use]
    pub fn new(config: &AiConfig) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(ANSWER_TIMEOUT)
            .build()
            .expect("the TLS backend is built in");
        let key = config.openai_api_key.clone().filter(|key| !key.expose_secret().is_empty());
        let base = config.openai_base_url.as_str().trim_end_matches('/').to_owned();
        Self { http, base, key, model: config.gpt_text_model.clone() }
    }

    /// Returns a client of the same model with another key.
    #[must_use]
    pub fn with_key(&self, key: SecretString) -> Self {
        Self { key: Some(key), ..self.clone() }
    }

    /// Returns true if a model is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.key.is_some()
    }

    /// Asks a question, and reads the response as a `T`.
    ///
    /// # Errors
    /// Returns [`AiError`], which jobs turn into a retry, a wait or a failure.
    pub async fn ask<T: DeserializeOwned>(&self, question: Question) -> Result<T, AiError> {
        let client = self.client()?;
        let request = self.request(question).map_err(|error| AiError::Config(ProviderMessage::of(&error)))?;
        let answer = client.chat().create(request).await.map_err(classify)?;
        let Some(choice) = answer.choices.into_iter().next() else {
            return Err(AiError::Unusable("it has no text".to_owned()));
        };
        if let Some(refusal) = choice.message.refusal {
            return Err(AiError::Declined(refusal));
        }
        match choice.finish_reason {
            Some(FinishReason::ContentFilter) => {
                return Err(AiError::Declined("its content filter stopped it".to_owned()));
            }
            Some(FinishReason::Length) => return Err(AiError::Unusable("it is cut off".to_owned())),
            Some(FinishReason::Stop | FinishReason::ToolCalls | FinishReason::FunctionCall) | None => {}
        }
        let content = choice.message.content.unwrap_or_default();
        serde_json::from_slice(&storable(content.as_bytes())).map_err(|error| AiError::Unusable(error.to_string()))
    }

    /// Checks the key by the cheapest call, the list of models.
    ///
    /// # Errors
    /// Returns [`AiError::Key`] if the key is refused, or another [`AiError`] if that cannot be told
    /// now.
    pub async fn check_key(&self) -> Result<(), AiError> {
        let key = self.key.as_ref().ok_or(AiError::NotConfigured)?;
        let request = self.http.get(format!("{}/models", self.base)).timeout(CHECK_TIMEOUT);
        let sent = request.bearer_auth(key.expose_secret()).send().await;
        let answer =
            sent.map_err(|error| AiError::NoAnswer(ProviderMessage(redact(&error.without_url().to_string()))))?;
        let status = answer.status().as_u16();
        let said = ProviderMessage(format!("the list of models has the status {status}"));
        match status {
            200..=299 => Ok(()),
            401 | 403 => Err(AiError::Key(said)),
            429 => Err(AiError::Rate(said)),
            _ => Err(AiError::NoAnswer(said)),
        }
    }

    fn client(&self) -> Result<Client<OpenAIConfig>, AiError> {
        let key = self.key.as_ref().ok_or(AiError::NotConfigured)?;
        let api = OpenAIConfig::new().with_api_key(key.expose_secret()).with_api_base(&self.base);
        let http = self.http.clone();
        let service = service_fn(move |request: HttpRequestFactory| exchange(http.clone(), request));
        Ok(Client::build(self.http.clone(), api).with_http_service(service))
    }

    fn request(
        &self,
        question: Question,
    ) -> Result<async_openai::types::chat::CreateChatCompletionRequest, OpenAIError> {
        let system = ChatCompletionRequestSystemMessageArgs::default().content(question.system).build()?;
        let user = ChatCompletionRequestUserMessageArgs::default().content(question.user).build()?;
        let messages: Vec<ChatCompletionRequestMessage> = vec![system.into(), user.into()];
        let json_schema = ResponseFormatJsonSchema {
            name: question.name.to_owned(),
            description: None,
            schema: question.schema,
            strict: Some(true),
        };
        CreateChatCompletionRequestArgs::default()
            .model(&self.model)
            .messages(messages)
            .response_format(ResponseFormat::JsonSchema { json_schema })
            .build()
    }
}

/// Sends a request, and returns a response whose texts can be stored.
async fn exchange(http: reqwest::Client, request: HttpRequestFactory) -> Result<reqwest::Response, OpenAIError> {
    let answer = http.execute(request.build().await?).await?;
    let mut storable_answer = http::Response::new(Vec::new());
    *storable_answer.status_mut() = answer.status();
    *storable_answer.headers_mut() = answer.headers().clone();
    *storable_answer.body_mut() = storable(&answer.bytes().await?).into_owned();
    Ok(storable_answer.into())
}

impl ProviderMessage {
    fn of(error: &OpenAIError) -> Self {
        // The text of this error contains the undocumented response, which may hold anything.
        if let OpenAIError::JSONDeserialize(error, _) = error {
            return Self(redact(&format!("an answer that is not the API's: {error}")));
        }
        let mut causes = vec![error.to_string()];
        let mut next = StdError::source(error);
        while let Some(error) = next {
            causes.push(error.to_string());
            next = error.source();
        }
        Self(redact(&causes.join(": ")))
    }
}

/// Source: "Error codes" of the API. A 429 for lack of credit does not pass by itself.
fn classify(error: OpenAIError) -> AiError {
    let said = ProviderMessage::of(&error);
    let OpenAIError::ApiError(answer) = error else {
        return AiError::NoAnswer(said);
    };
    match answer.status_code.as_u16() {
        429 if answer.api_error.r#type.as_deref() == Some("insufficient_quota") => AiError::Config(said),
        429 => AiError::Rate(said),
        400 if is_about_the_prompt(answer.api_error.code.as_deref()) => AiError::Declined(said.0),
        401 => AiError::Key(said),
        400..=428 | 430..=499 => AiError::Config(said),
        _ => AiError::NoAnswer(said),
    }
}

fn is_about_the_prompt(code: Option<&str>) -> bool {
    matches!(code, Some("context_length_exceeded" | "content_policy_violation" | "content_filter"))
}

impl From<AiError> for JobError {
    fn from(error: AiError) -> Self {
        match &error {
            AiError::NotConfigured => {
                let words = format!("No language model is set up here: an operator has to set {SETTING}.");
                Self::Later(Duration::from_mins(15), Cause::new(CauseClass::Config, words, error))
            }
            AiError::NoAnswer(_) => Self::Retry(Cause::new(
                CauseClass::Transient,
                "The language model did not answer; it is tried again.",
                error,
            )),
            AiError::Rate(_) => {
                let words = "The language model asks us to wait; it is tried again.";
                Self::Later(Duration::from_secs(30), Cause::new(CauseClass::Rate, words, error))
            }
            AiError::Key(_) | AiError::Config(_) => {
                let words = "The language model refuses our account or request; an operator has to look.";
                Self::Later(Duration::from_mins(15), Cause::new(CauseClass::Config, words, error))
            }
            AiError::Declined(_) => {
                Self::Fail(Cause::new(CauseClass::Declined, "The language model declined: change the brief.", error))
            }
            AiError::Unusable(_) => {
                let words = "The language model's answer could not be used; it is tried again.";
                Self::Retry(Cause::new(CauseClass::Unusable, words, error))
            }
        }
    }
}
