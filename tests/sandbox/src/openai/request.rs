//! The request for a chat completion, and its validation.

use serde_json::{Map, Value};

use crate::openai::error::OpenAiError;
use crate::openai::schema;

/// Every parameter of the API.
const PARAMETERS: [&str; 35] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
/// Parameters of the API that would change the reply in a way that the sandbox does not support.
const NOT_MADE: [&str; 6] = ["audio", "function_call", "functions", "tool_choice", "tools", "web_search_options"];
const ROLES: [&str; 6] = ["assistant", "developer", "function", "system", "tool", "user"];
const MODEL_FAMILIES: [&str; 5] = ["gpt-", "chatgpt-", "o1", "o3", "o4"];
const REASONING_FAMILIES: [&str; 4] = ["gpt-5", "o1", "o3", "o4"];

/// A valid request.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    /// The text of all messages, in order.
    pub(crate) prompt: String,
    /// The text of the last message of the user.
    pub(crate) last_user_message: String,
    pub(crate) answer: Answer,
    pub(crate) token_limit: Option<usize>,
    /// The input that the reply depends on.
    pub(crate) seed: String,
}

/// The requested format of the reply.
#[derive(Debug)]
pub(crate) enum Answer {
    Text,
    AnyJson,
    Schema(Value),
}

impl ChatRequest {
    /// Parses and validates a request.
    pub(crate) fn parse(body: &[u8], reject_temperature: bool) -> Result<Self, OpenAiError> {
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return Err(OpenAiError::invalid(None, None, "We could not parse the JSON body of your request."));
        };
        let model = check_model(&body)?;
        check_parameters(&body, model, reject_temperature)?;
        let messages = check_messages(&body)?;
        let prompt: Vec<&str> = messages.iter().map(|(_, text)| text.as_str()).collect();
        let prompt = prompt.join("\n");
        let last_user = messages.iter().rev().find(|(role, _)| *role == "user");
        let answer = check_format(&body, &prompt)?;
        let limit = body.get("max_completion_tokens").or_else(|| body.get("max_tokens")).and_then(Value::as_u64);
        let format = body.get("response_format").map(Value::to_string).unwrap_or_default();
        Ok(Self {
            model: model.to_owned(),
            last_user_message: last_user.map(|(_, text)| text.clone()).unwrap_or_default(),
            answer,
            token_limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            seed: format!("{prompt}\n{format}"),
            prompt,
        })
    }
}

fn check_model(body: &Map<String, Value>) -> Result<&str, OpenAiError> {
    let Some(model) = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()) else {
        return Err(OpenAiError::invalid(None, None, "you must provide a model parameter"));
    };
    if MODEL_FAMILIES.iter().any(|family| model.starts_with(family)) {
        return Ok(model);
    }
    Err(OpenAiError::unknown_model(model))
}

fn check_parameters(body: &Map<String, Value>, model: &str, reject_temperature: bool) -> Result<(), OpenAiError> {
    let refused = |code, name: &str, message: String| Err(OpenAiError::invalid(Some(code), Some(name), message));
    if let Some(name) = body.keys().find(|name| !PARAMETERS.contains(&name.as_str())) {
        return refused("unknown_parameter", name, format!("Unknown parameter: '{name}'."));
    }
    let streams = body.get("stream") == Some(&Value::Bool(true));
    let many = body.get("n").and_then(Value::as_u64).is_some_and(|n| n != 1);
    if let Some(name) = NOT_MADE.into_iter().find(|name| body.contains_key(*name)) {
        return refused("unsupported_parameter", name, format!("The sandbox does not take '{name}'."));
    }
    if streams || many {
        return refused("unsupported_value", "stream", "The sandbox takes neither 'stream' nor 'n'.".to_owned());
    }
    let reasons = REASONING_FAMILIES.iter().any(|family| model.starts_with(family));
    if reasons && body.contains_key("max_tokens") {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                       'max_completion_tokens' instead.";
        return refused("unsupported_parameter", "max_tokens", message.to_owned());
    }
    match body.get("temperature").and_then(Value::as_f64) {
        Some(warm) if !(0.0..=2.0).contains(&warm) => {
            let message = format!("Invalid 'temperature': {warm} is not between 0 and 2.");
            refused("decimal_above_max_value", "temperature", message)
        }
        Some(warm) if reasons && reject_temperature && (warm - 1.0).abs() > f64::EPSILON => {
            let message = format!("Unsupported value: 'temperature' does not support {warm} with this model.");
            refused("unsupported_value", "temperature", message)
        }
        Some(_) | None => Ok(()),
    }
}

fn check_messages(body: &Map<String, Value>) -> Result<Vec<(&str, String)>, OpenAiError> {
    let messages = match body.get("messages") {
        Some(Value::Array(messages)) if !messages.is_empty() => messages,
        Some(Value::Array(_)) => {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
            return Err(OpenAiError::invalid(Some("empty_array"), Some("messages"), message));
        }
        Some(_) => {
            let message = "Invalid type for 'messages': expected an array of objects.";
            return Err(OpenAiError::invalid(Some("invalid_type"), Some("messages"), message));
        }
        None => {
            let message = "Missing required parameter: 'messages'.";
            return Err(OpenAiError::invalid(Some("missing_required_parameter"), Some("messages"), message));
        }
    };
    messages.iter().enumerate().map(|(at, message)| check_message(at, message)).collect()
}

fn check_message(at: usize, message: &Value) -> Result<(&str, String), OpenAiError> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    if !ROLES.contains(&role) {
        let param = format!("messages[{at}].role");
        let message = format!("Invalid value: '{role}'. Supported values are: {ROLES:?}.");
        return Err(OpenAiError::invalid(Some("invalid_value"), Some(&param), message));
    }
    let text = match message.get("content") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => parts.iter().map(part_text).collect::<Option<Vec<_>>>().map(|it| it.join("\n")),
        Some(Value::Null) | None if role == "assistant" => Some(String::new()),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => None,
    };
    text.map(|text| (role, text)).ok_or_else(|| {
        let param = format!("messages[{at}].content");
        let message = format!("Invalid type for '{param}': expected one of a string or array of objects.");
        OpenAiError::invalid(Some("invalid_type"), Some(&param), message)
    })
}

/// Returns the text of a part of a message; pictures have none.
fn part_text(part: &Value) -> Option<&str> {
    match part.get("type")?.as_str()? {
        "text" => part.get("text")?.as_str(),
        "image_url" => part.get("image_url")?.get("url")?.as_str().map(|_| ""),
        _ => None,
    }
}

fn check_format(body: &Map<String, Value>, prompt: &str) -> Result<Answer, OpenAiError> {
    let param = Some("response_format");
    let Some(format) = body.get("response_format").filter(|format| !format.is_null()) else {
        return Ok(Answer::Text);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Answer::Text),
        Some("json_object") if prompt.to_lowercase().contains("json") => Ok(Answer::AnyJson),
        Some("json_object") => {
            let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                           'json_object'.";
            Err(OpenAiError::invalid(None, Some("messages"), message))
        }
        Some("json_schema") => schema::check(format).map(Answer::Schema),
        Some(other) => {
            let message =
                format!("Invalid value: '{other}'. Supported values are: 'json_object', 'json_schema', and 'text'.");
            Err(OpenAiError::invalid(Some("invalid_value"), param, message))
        }
        None => {
            let message = "Missing required parameter: 'response_format.type'.";
            Err(OpenAiError::invalid(Some("missing_required_parameter"), param, message))
        }
    }
}
