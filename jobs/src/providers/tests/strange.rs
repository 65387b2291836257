//! Whatever a service returns becomes a value or an error of a job, never a panic.

use std::sync::{Arc, Mutex};

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    engine::{JobError, SendError},
    providers::{
        Provider, ProviderError, Providers, ProvidersConfig, ReadError, Token,
        ai::{Ai, AiConfig, Question},
    },
};

/// A service that gives the next response to whatever it is asked.
struct Stranger {
    url: String,
    next: Arc<Mutex<Vec<u8>>>,
}

impl Stranger {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, next) = (format!("http://{}", listener.local_addr().unwrap()), Arc::<Mutex<Vec<u8>>>::default());
        let answer = Arc::clone(&next);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let answer = answer.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut read = [0; 8 * 1024];
                    let _ = connection.read(&mut read).await;
                    let _ = connection.write_all(&answer).await;
                    let _ = connection.shutdown().await;
                    while let Ok(1..) = connection.read(&mut read).await {}
                });
            }
        });
        Self { url, next }
    }

    fn say(&self, status: u16, header: &str, body: &[u8]) {
        let head =
            format!("HTTP/1.1 {status} x\r\nConnection: close\r\n{header}\r\nContent-Length: {}\r\n\r\n", body.len());
        *self.next.lock().unwrap() = [head.as_bytes(), body].concat();
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("id|name|data|error|code|message|paging|next|[a-z]{0,5}", inner, 0..4)
                .prop_map(|fields| json!(fields)),
        ]
    })
}

/// Bodies like those of the services, with anything in a field, and bodies of any bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let graph = (any::<i64>(), any::<i64>(), any_json(), any::<String>()).prop_map(|(code, subcode, original, message)| {
        json!({ "error": { "message": message, "code": code, "error_subcode": subcode, "original_response": original } })
    });
    let refusal = any_json().prop_map(|error| json!({ "error": error, "error_description": "x" }));
    let token = (any_json(), any_json())
        .prop_map(|(token, life)| json!({ "access_token": token, "token_type": "bearer", "expires_in": life }));
    let list = (any_json(), any_json()).prop_map(|(data, next)| json!({ "data": data, "paging": { "next": next } }));
    let completion = (any::<String>(), any_json()).prop_map(|(content, refusal)| {
        let message = json!({ "role": "assistant", "content": content, "refusal": refusal });
        json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "x",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        })
    });
    prop_oneof![
        prop_oneof![graph, refusal, token, list, completion, any_json()].prop_map(|json| json.to_string().into_bytes()),
        any::<Vec<u8>>(),
        r#"\{"(error|access_token|id)":(\{|"|\[|\\u|d83c|0000|[a-z0-9]|"|\}){0,9}\}"#.prop_map(String::into_bytes),
    ]
}

/// Turns an error into all that jobs make of it.
fn decided(error: ProviderError, call: usize) {
    let words = match call % 3 {
        0 => format!("{:?}", JobError::from(error)),
        1 => format!("{:?}", JobError::from(ReadError::from(error))),
        _ => format!("{:?}", SendError::from(error)),
    };
    assert!(!words.is_empty());
}

#[test]
fn whatever_a_service_answers_is_a_value_or_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stranger = runtime.block_on(Stranger::start());
    let providers = Providers::new(&ProvidersConfig::of_sandbox(&stranger.url), "http://localhost").unwrap();
    let ai = Ai::new(&AiConfig {
        openai_api_key: Some("sk-x".into()),
        openai_base_url: stranger.url.parse().unwrap(),
        gpt_text_model: "x".to_owned(),
    });
    let (connector, secret) = (providers.connector(Provider::Facebook).unwrap(), "x".into());
    let token = Token { secret: "x".into(), expires_in: None, refresh: None };
    let google = providers.signing_in(Provider::Google).unwrap();
    let github = providers.signing_in(Provider::Github).unwrap();
    let header = prop::sample::select(vec![
        "X-None: 1",
        "Retry-After: 99999999999999999999",
        "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT",
        "Date: x",
        "X-App-Usage: {\"call_count\":1e400}",
        "X-App-Usage: {\"estimated_time_to_regain_access\":1e300}",
    ]);
    let status = prop::sample::select(vec![200_u16, 201, 302, 400, 401, 403, 404, 429, 500, 503]);
    let asked = TestRunner::default().run(&(0..7_usize, status, header, body()), |(call, status, header, body)| {
        stranger.say(status, header, &body);
        runtime.block_on(async {
            let failed = match call {
                0 => connector.discover(&secret).await.err(),
                1 => connector.check(&secret).await.err(),
                2 => connector.refresh(&token).await.err(),
                3 => google.0.exchange(&secret, None).await.err(),
                4 => google.1.profile(&secret).await.err(),
                5 => github.1.profile(&secret).await.err(),
                _ => {
                    let question = Question { name: "x", schema: json!({}), system: "x", user: "x".to_owned() };
                    if let Err(error) = ai.ask::<Value>(question).await {
                        let _ = JobError::from(error);
                    }
                    None
                }
            };
            if let Some(error) = failed {
                decided(error, call);
            }
        });
        Ok(())
    });
    asked.unwrap();
}
