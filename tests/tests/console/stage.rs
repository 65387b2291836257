//! A ledger with jobs in every state, workers, a parked account and a key, to look at.

use chrono::TimeDelta;
use jobs::{
    engine::{Tx, figures as engine_figures},
    ids::{AccountId, TenantId},
};
use serde_json::{Value, json};
use tests::TestApp;
use uuid::Uuid;

/// The jobs of a filled database that tests look for.
pub(crate) struct Stage {
    /// A job that failed, whose attempts have a story.
    pub(crate) failed: Uuid,
    /// A job with a call of unknown outcome.
    pub(crate) unknown: Uuid,
}

/// A job to write down.
struct Part<'a> {
    kind: &'a str,
    state: &'a str,
    /// Seconds from now: when it is due, began or ended.
    seconds: f64,
    suspended_on: Option<String>,
    error: Option<Value>,
    failures: i32,
}

impl Default for Part<'_> {
    fn default() -> Self {
        Self { kind: "publish_post", state: "scheduled", seconds: 0.0, suspended_on: None, error: None, failures: 0 }
    }
}

/// Returns a failure with this message.
pub(crate) fn failure(message: &str) -> Value {
    json!({ "class": "denied", "message": message, "causes": ["the provider answered 400", message] })
}

fn queue_of(kind: &str) -> &'static str {
    match kind {
        "publish_post" => "posting",
        "write_caption" => "ai",
        "render_overlay" => "media",
        "refresh_token" => "oauth",
        _ => "default",
    }
}

/// Fills the ledger.
pub(crate) async fn fill(app: &TestApp) -> Stage {
    let account = app.bench.connect_page().await;
    let mut tx = app.bench.engine.db.system().await.unwrap();
    figures(&mut tx).await;
    own_keys(&mut tx, app.bench.tenant_id).await;
    tx.commit().await.unwrap();
    write(app, account, None).await
}

/// Writes jobs of an account into the ledger. Each text that people or providers can choose is
/// `words`, if they are given.
pub(crate) async fn write(app: &TestApp, account: AccountId, words: Option<&str>) -> Stage {
    let tenant_id = app.bench.tenant_id;
    let said = |text: &str| words.unwrap_or(text).to_owned();
    let mut tx = app.bench.engine.db.system().await.unwrap();
    worker(&mut tx, &said("cook-1:4711"), 60.0).await;
    worker(&mut tx, &said("cook-2:4712"), -600.0).await;
    let too_large = failure(&said("Facebook refused the picture: it is too large. Choose a smaller one."));
    let busy = failure(&said("The language model has too much to do."));
    for (kind, seconds) in [("publish_post", 3600.0), ("publish_post", 86_400.0), ("write_caption", 7200.0)] {
        job(&mut tx, tenant_id, Part { kind, seconds, ..Part::default() }).await;
    }
    job(&mut tx, tenant_id, Part { kind: "render_overlay", state: "available", ..Part::default() }).await;
    job(&mut tx, tenant_id, Part { kind: "generate_calendar", state: "executing", seconds: -42.0, ..Part::default() })
        .await;
    let again = Part {
        kind: "write_caption",
        state: "retryable",
        seconds: 180.0,
        error: Some(busy),
        failures: 2,
        ..Part::default()
    };
    job(&mut tx, tenant_id, again).await;
    let parked = Some(format!("account:{account}"));
    job(&mut tx, tenant_id, Part { state: "suspended", suspended_on: parked, ..Part::default() }).await;
    let open = Part { state: "suspended", suspended_on: Some("unknown_effect".to_owned()), ..Part::default() };
    let unknown = job(&mut tx, tenant_id, open).await;
    effect(&mut tx, tenant_id, unknown, &said("122093_456")).await;
    for (kind, state, seconds) in [
        ("publish_post", "completed", -120.0),
        ("render_overlay", "completed", -130.0),
        ("write_caption", "completed", -300.0),
        ("refresh_token", "cancelled", -900.0),
    ] {
        job(&mut tx, tenant_id, Part { kind, state, seconds, ..Part::default() }).await;
    }
    let gone =
        Part { state: "discarded", seconds: -60.0, error: Some(too_large.clone()), failures: 3, ..Part::default() };
    let failed = job(&mut tx, tenant_id, gone).await;
    for attempt in 1..=3 {
        story(&mut tx, tenant_id, failed, attempt, &too_large, &said("The picture has 12 MB.")).await;
    }
    park(&mut tx, tenant_id, account.0, &said("Facebook asks for a pause.")).await;
    tx.commit().await.unwrap();
    Stage { failed, unknown }
}

/// Writes a refused key of OpenAI, and one of Publer that opens two workspaces.
async fn own_keys(tx: &mut Tx, tenant_id: TenantId) {
    let sql = "insert into service_keys (id, tenant_id, service, secret, last_four, workspaces, refused_at, refusal)
        values ($1, $2, 'openai', 'x', 'a1b2', '[]', engine_now(), 'OpenAI refuses your own key.'),
          ($3, $2, 'publer', 'x', 'c3d4', $4, null, null)";
    let workspaces = json!([{ "id": "6001", "name": "Krusty Pizza" }, { "id": "6002", "name": "Hults Cafe" }]);
    let query = sqlx::query(sql).bind(Uuid::now_v7()).bind(tenant_id.0).bind(Uuid::now_v7()).bind(workspaces);
    query.execute(&mut **tx).await.unwrap();
}

async fn worker(tx: &mut Tx, name: &str, seconds: f64) {
    let sql = "insert into workers (id, name, queues, kinds, renewed_at, expires_at)
        values ($1, $2, $3, '{publish_post}', clock_timestamp() + make_interval(secs => $4) - interval '60 s',
          clock_timestamp() + make_interval(secs => $4))";
    let queues = json!({ "posting": 8, "ai": 4, "media": 2, "oauth": 2, "default": 8 });
    sqlx::query(sql).bind(Uuid::now_v7()).bind(name).bind(queues).bind(seconds).execute(&mut **tx).await.unwrap();
}

async fn job(tx: &mut Tx, tenant_id: TenantId, part: Part<'_>) -> Uuid {
    let id = Uuid::now_v7();
    let is_finished = ["completed", "cancelled", "discarded"].contains(&part.state);
    let unfinished =
        "insert into jobs (id, tenant_id, kind, queue, args, state, run_at, due_at, attempt, failures, suspended_on,
          worker_id, started_at, error)
        select $1, $2, $3, $4, $5, $6, case when $6 = 'suspended' then null else at end, at, $8, $8, $9,
          case when $6 = 'executing' then (select id from workers order by expires_at desc limit 1) end,
          case when $6 = 'executing' then at end, $10
        from (select engine_now() + make_interval(secs => $7) as at) time";
    let finished = "insert into job_history (id, tenant_id, kind, queue, args, state, priority, run_at, due_at, attempt, failures,
          crashes, poison, depth, failed_children, counted, error, created_at, started_at, ended_at)
        select $1, $2, $3, $4, $5, $6, 2, at, at, $8, $8, 0, 0, 0, 0, true, $10, at - interval '600 s', at - interval '2 s', at
        from (select engine_now() + make_interval(secs => $7) as at where $9::text is null) time";
    sqlx::query(if is_finished { finished } else { unfinished })
        .bind(id)
        .bind(tenant_id.0)
        .bind(part.kind)
        .bind(queue_of(part.kind))
        .bind(json!({ "delivery_id": Uuid::now_v7() }))
        .bind(part.state)
        .bind(part.seconds)
        .bind(part.failures)
        .bind(part.suspended_on)
        .bind(part.error)
        .execute(&mut **tx)
        .await
        .unwrap();
    id
}

async fn effect(tx: &mut Tx, tenant_id: TenantId, job_id: Uuid, remote_id: &str) {
    let sql = "insert into effects (id, tenant_id, job_id, key, operation, state, attempt, request_digest, sent_at, send_until,
          evidence, looks)
        values ($1, $2, $3, $4, 'publish_photo', 'unknown', 1, 'x', engine_now() - interval '1 hour', engine_now(), $5, 3)";
    let candidates =
        json!({ "candidates": [{ "id": remote_id, "permalink": "https://facebook.example.com/122093_456" }] });
    let query = sqlx::query(sql).bind(Uuid::now_v7()).bind(tenant_id.0).bind(job_id).bind(job_id.to_string());
    query.bind(candidates).execute(&mut **tx).await.unwrap();
}

async fn story(tx: &mut Tx, tenant_id: TenantId, job_id: Uuid, attempt: i32, error: &Value, line: &str) {
    let sql = "insert into job_attempts (tenant_id, job_id, attempt, outcome, error, worker_id, started_at, ended_at)
        select $1, $2, $3, case when $3 = 3 then 'fail' else 'retry' end, $4, $5, at - interval '2 s', at
        from (select engine_now() - make_interval(secs => 60 + 120 * (3 - $3)) as at) time";
    let query = sqlx::query(sql).bind(tenant_id.0).bind(job_id).bind(attempt).bind(error).bind(Uuid::now_v7());
    query.execute(&mut **tx).await.unwrap();
    let sql = "insert into job_events (tenant_id, job_id, seq, attempt, level, message) values ($1, $2, $3, $3, 'warning', $4)";
    sqlx::query(sql).bind(tenant_id.0).bind(job_id).bind(attempt).bind(line).execute(&mut **tx).await.unwrap();
}

async fn park(tx: &mut Tx, tenant_id: TenantId, account: Uuid, reason: &str) {
    let sql = "insert into parked_accounts (tenant_id, account_id, until, reason)
        values ($1, $2, engine_now() + interval '20 min', $3)
        on conflict (tenant_id, account_id) do update set reason = excluded.reason";
    sqlx::query(sql).bind(tenant_id.0).bind(account).bind(failure(reason)).execute(&mut **tx).await.unwrap();
}

/// Writes figures of the last day, with a rush and some failures.
async fn figures(tx: &mut Tx) {
    let sql = "insert into job_figures (resolution, starts_at, queue, kind, completed, failures, discarded, waits)
        select 'minute', date_trunc('minute', engine_now()) - make_interval(mins => 5 * ago), queue, kind,
          (share * (20 + 15 * sin(ago / 20.0)))::int, case when ago between 60 and 80 then ago % 7 else 0 end,
          case when ago between 60 and 80 then ago % 2 else 0 end,
          jsonb_build_object(18 + ago % 5, 30, 34 + ago / 20, 3)
        from generate_series(0, 287) as ago
        cross join (
          values ('posting', 'publish_post', 1), ('ai', 'write_caption', 2), ('media', 'render_overlay', 1)
        ) as kinds (queue, kind, share)";
    sqlx::query(sql).execute(&mut **tx).await.unwrap();
    let now = tx.now().await.unwrap();
    engine_figures::count_hours(tx, now - TimeDelta::days(1), now).await.unwrap();
}
