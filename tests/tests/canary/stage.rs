//! The servers and programs of a run, set up with marked secrets.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::{
    TestApp,
    servers::{PrivatePostgres, PrivateRedis},
    setting, until,
};
use url::Url;
use uuid::Uuid;

use crate::{
    http::{Answer, Http},
    program::{Folder, Program},
    secrets::{Secrets, random_hex},
    servers::Monitor,
};

/// The public address in links and redirects: `PUBLIC_URL`.
pub(crate) const PUBLIC: &str = "http://127.0.0.1:1";

/// The longest time a job may take, with its planned faults.
const PATIENCE: Duration = Duration::from_mins(2);

/// The settings of a program.
pub(crate) type Settings = Vec<(&'static str, String)>;

/// The run: its servers, its programs and its secrets.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) secrets: Secrets,
    pub(crate) http: Http,
    pub(crate) app: TestApp,
    pub(crate) worker: Program,
    _admin: Program,
    pub(crate) monitor: Monitor,
    pub(crate) redis: PrivateRedis,
    pub(crate) postgres: PrivatePostgres,
    pub(crate) folder: Folder,
    pub(crate) secret_key: String,
    settings: Settings,
    /// A part of every email address, which keeps the emails of other tests apart.
    run: String,
}

impl Stage {
    /// Starts everything. The first worker has a wrong password for the mail server.
    pub(crate) async fn start() -> Self {
        let (secrets, folder) = (Secrets::default(), Folder::new());
        let postgres = PrivatePostgres::start_watched(80, &secrets.server_password("password of PostgreSQL")).await;
        let redis_password = secrets.server_password("password of Redis");
        let redis = PrivateRedis::start_closed(&redis_password).await;
        let monitor = Monitor::start(&redis, &redis_password);
        let app = TestApp::with_redis(postgres.pool().await, &redis.url).await;
        secrets.keep("key of the operators", &app.key);
        let run = Uuid::now_v7().simple().to_string();
        let secret_key = secrets.key("SECRET_KEY");
        let settings = settings(&secrets, &secret_key, &postgres, &redis, &run);
        let marked = json!({
            "app_secret": value(&settings, "FACEBOOK_APP_SECRET"), "api_key": value(&settings, "OPENAI_API_KEY"),
        });
        app.bench.sandbox.control("switches", marked).await;
        let admin = Program::start(app.program("admin", &["serve"], &borrowed(&settings)), &folder, "log of the admin");
        let line = admin.says("addr=socket://").await;
        let address = line.split("addr=socket://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let http = Http::new(format!("http://{}", address.expect("an address")));
        let wrong = format!("wrong{}", random_hex(16));
        secrets.keep_unused("wrong password of the mail server", wrong.as_bytes());
        let wrong = with(&settings, &[("SMTP_URL", &mail_server("wrong", &wrong))]);
        let worker = Program::start(app.program("worker", &[], &borrowed(&wrong)), &folder, "log of worker 1");
        worker.says("worker ready").await;
        Self { secrets, http, app, worker, _admin: admin, monitor, redis, postgres, folder, secret_key, settings, run }
    }

    /// Starts another worker with correct settings, after the first one ended.
    pub(crate) async fn start_worker(&mut self) {
        let right = with(&self.settings, &[("LOG_FORMAT", "json")]);
        let command = self.app.program("worker", &[], &borrowed(&right));
        self.worker = Program::start(command, &self.folder, "log of worker 2");
        self.worker.says("worker ready").await;
    }

    /// Runs a program with changed settings and returns true if it succeeded.
    pub(crate) async fn try_program(&self, program: &str, changed: &[(&'static str, &str)], name: &str) -> bool {
        let settings = with(&self.settings, changed);
        let arguments: &[&str] = if program == "admin" { &["serve"] } else { &[] };
        Program::start(self.app.program(program, arguments, &borrowed(&settings)), &self.folder, name).ends().await
    }

    pub(crate) fn address(&self, who: &str) -> String {
        format!("{who}.{}@example.com", self.run)
    }

    /// Returns a request of the operator, who sees everything.
    pub(crate) fn operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, path).bearer_auth(&self.app.key)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.http.send(self.operator(Method::GET, path)).await.expect(200).json()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.http.send(self.operator(Method::POST, path).json(&body)).await
    }

    /// Submits a form as from one of our pages.
    pub(crate) async fn submit(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.http.send(self.http.request(Method::POST, path).header("origin", PUBLIC).form(form)).await
    }

    /// Plans faults for the next calls of an operation, one fault a call. The responses quote the
    /// credentials of the calls.
    pub(crate) async fn faults(&self, operation: &str, faults: impl IntoIterator<Item = Value>) {
        for (number, mut fault) in faults.into_iter().enumerate() {
            fault["nth"] = json!(number + 1);
            self.app.bench.sandbox.fault(operation, fault).await;
        }
    }

    /// Waits until all jobs of a kind have completed. Scheduled and discarded jobs are retried, as
    /// staff would.
    pub(crate) async fn push(&self, kind: &str) {
        until(&format!("all {kind} jobs are completed"), PATIENCE, async || {
            let jobs = self.get(&format!("/api/v1/jobs?kind={kind}&limit=200")).await;
            let jobs = jobs["items"].as_array().expect("jobs").clone();
            let open: Vec<&Value> = jobs.iter().filter(|job| job["state"] != "completed").collect();
            for job in &open {
                let action = match job["state"].as_str() {
                    Some("scheduled" | "retryable") => "run-now",
                    Some("discarded") => "retry",
                    _ => continue,
                };
                let path = format!("/api/v1/jobs/{}/{action}", job["id"].as_str().expect("an id"));
                // The request is refused if the job has changed meanwhile.
                self.post(&path, json!({})).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            (!jobs.is_empty() && open.is_empty()).then_some(())
        })
        .await;
    }
}

fn settings(
    secrets: &Secrets,
    secret_key: &str,
    postgres: &PrivatePostgres,
    redis: &PrivateRedis,
    run: &str,
) -> Settings {
    let bytes: Vec<u8> = (0..32).map(|_| rand::RngExt::random(&mut rand::rng())).collect();
    secrets.keep_unused("bytes of ENCRYPTION_KEYS", &bytes);
    let key = secrets.keep("ENCRYPTION_KEYS", &STANDARD.encode(&bytes));
    let mail = secrets.keep("password of the mail server", &format!("right{}", random_hex(16)));
    let ai = secrets.keep("OPENAI_API_KEY", &format!("sk-proj-{}", random_hex(24)));
    vec![
        ("DATABASE_URL", postgres.url.clone()),
        ("REDIS_URL", redis.url.clone()),
        ("SECRET_KEY", secret_key.to_owned()),
        ("ENCRYPTION_KEYS", format!("canary:{key}")),
        ("FACEBOOK_APP_SECRET", secrets.key("FACEBOOK_APP_SECRET")),
        ("OPENAI_API_KEY", ai),
        ("SMTP_URL", mail_server("linecook", &mail)),
        ("ALERT_EMAIL", format!("operators.{run}@example.com")),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", "0".to_owned()),
        ("TRUSTED_PROXIES", "1".to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ]
}

fn mail_server(user: &str, password: &str) -> String {
    let mut url = Url::parse(&setting("MAIL_SERVER_URL")).expect("an address");
    url.set_username(user).and_then(|()| url.set_password(Some(password))).expect("an address with a host");
    url.into()
}

fn with(settings: &Settings, changed: &[(&'static str, &str)]) -> Settings {
    let changed = changed.iter().map(|(name, value)| (*name, (*value).to_owned()));
    settings.iter().cloned().chain(changed).collect()
}

fn borrowed(settings: &Settings) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn value<'a>(settings: &'a Settings, name: &str) -> &'a str {
    settings.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str()).expect("it is set")
}
