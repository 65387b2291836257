use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::*;
use crate::{
    assets::{Overlay, Position, RenderOverlay},
    audit::Entry,
    connections::{self, CameBack},
    engine::{JobState, NewJob, ledger::JobRow},
    ids::{AccountId, AssetId, JobId},
    noop::Noop,
    providers::Provider,
    services::Services,
    tenants::{erasure, plans::Plan, store},
    testing::Bench,
};

/// Tables that are erased separately: unfinished jobs first, then the log and the tenant last.
const APART: &[&str] = &["jobs", "audit_log", "audit_heads"];

async fn erase(bench: &Bench, tenant_id: TenantId) -> JobId {
    let mut tx = bench.engine.db.system().await.unwrap();
    let job = erasure::erase(&mut tx, &bench.engine.services.keyring, &Actor::command_line(), tenant_id)
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    job.id
}

async fn run_out(bench: &Bench, job: JobId) -> JobRow {
    bench.drain().await;
    let job = bench.job(job).await;
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    job
}

async fn other_tenant(bench: &Bench) -> TenantId {
    let mut tx = bench.engine.db.system().await.unwrap();
    let other = store::insert(&mut tx, "Hults Cafe", "h@example.com", Plan::Pro).await.unwrap().id;
    tx.commit().await.unwrap();
    other
}

/// Returns the tables with a tenant, as the database has them.
async fn tables(bench: &Bench) -> BTreeSet<String> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.attname = 'tenant_id' and not a.attisdropped",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    names.into_iter().collect()
}

/// Returns the number of a tenant's rows in each table, including the table of tenants.
async fn count(bench: &Bench, tenant_id: TenantId) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    let mut columns: Vec<(String, &str)> = tables(bench).await.into_iter().map(|table| (table, "tenant_id")).collect();
    columns.push(("tenants".to_owned(), "id"));
    let mut tx = bench.engine.db.system().await.unwrap();
    for (table, column) in columns {
        let sql = AssertSqlSafe(format!("select count(*) from {table} where {column} = $1"));
        let rows: i64 = sqlx::query_scalar(sql).bind(tenant_id.0).fetch_one(&mut *tx).await.unwrap();
        counts.insert(table, rows);
    }
    counts
}

fn files(bench: &Bench, tenant_id: TenantId) -> usize {
    let folder = bench.sandbox.services_config().storage_url.to_file_path().unwrap().join(tenant_id.to_string());
    std::fs::read_dir(folder.join("assets")).map_or(0, Iterator::count)
}

async fn publish(bench: &Bench, account: AccountId, asset: Option<AssetId>) -> JobId {
    bench.post("Pizza", account, asset).await
}

/// Makes a tenant with a row in every table, and with ended and unfinished jobs.
async fn fill(bench: &Bench) {
    let account = bench.connect_page().await;
    let asset = bench.picture().await;
    let overlay = Overlay { text: "Pizza".to_owned(), position: Position::Top };
    bench.enqueue(&RenderOverlay { asset_id: asset, rendered_id: AssetId::new(), overlay }).await;
    publish(bench, account, Some(asset)).await;
    bench.drain().await;
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let later = NewJob::new(bench.tenant_id, &Noop::default()).at("2099-01-01T00:00:00Z".parse().unwrap());
    tx.enqueue_all(vec![later; 1_001]).await.unwrap();
    tx.commit().await.unwrap();
    for sql in [
        "insert into users (id, email) values ($1, $1 || '@example.com')",
        "insert into tenant_users (tenant_id, user_id, role) values ($1, $1, 'owner')",
        "update users set current_tenant_id = $1 where id = $1",
        "insert into invitations (id, tenant_id, email, role, expires_at) values ($1, $1, 'new@example.com', 'admin', now())",
        "insert into api_keys (id, tenant_id, name, prefix, secret_sha256, permissions)
         values ($1, $1, 'a key', 'lk_', decode(md5($1::text), 'hex'), '{*}')",
        "insert into tenant_settings (tenant_id, logo_asset_id)
         select $1, id from brand_assets where tenant_id = $1 and source_asset_id is null",
        "insert into content_calendar (id, tenant_id, month, brief, post_count, state)
         values ($1, $1, '2027-01-01', '', 1, 'ready')",
        "insert into token_refresh_history (id, tenant_id, token_id, outcome)
         select $1, $1, id, 'refreshed' from oauth_tokens where tenant_id = $1 limit 1",
        "insert into service_keys (id, tenant_id, service, secret, last_four) values ($1, $1, 'openai', 'x', '')",
        "insert into job_attempts (tenant_id, job_id, attempt, outcome) values ($1, $1, 1, 'lost')",
        "insert into job_events (tenant_id, job_id, seq, attempt, level, message)
         select $1, $1, n, 1, 'info', 'x' from generate_series(1, 2500) n",
        "insert into jobs_to_index (tenant_id, created_at, job_id) values ($1, now(), $1)",
        "insert into job_words (tenant_id, word, created_at, job_id) values ($1, 'x', now(), $1)",
        "insert into parked_accounts (tenant_id, account_id, until, reason) values ($1, $1, now(), '{}')",
        "insert into resting_lanes (queue, tenant_id, lane, until) values ('media', $1, $1, now())",
        "insert into idempotency_keys (tenant_id, caller_id, key_sha256, id, request_sha256, locked_until)
         values ($1, $1, 'x', $1, 'x', now())",
    ] {
        bench.execute(sql, bench.tenant_id.0).await;
    }
    let place = connections::store::revocation_place(bench.tenant_id, bench.tenant_id.0);
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    sqlx::query(
        "insert into revocations (id, tenant_id, provider, subject_id, access_token) values ($1, $1, 'facebook', 'x', $2)",
    )
    .bind(bench.tenant_id.0)
    .bind(bench.engine.services.keyring.encrypt(place, &"dead".into()))
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let entry = Entry {
        tenant_id: bench.tenant_id,
        action: "x".to_owned(),
        object_type: "x",
        object_id: "x".to_owned(),
        details: json!({}),
    };
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let keyring = &bench.engine.services.keyring;
    audit::append(&mut tx, keyring, &Actor::command_line(), &vec![entry; 1_500]).await.unwrap();
    tx.commit().await.unwrap();
}

#[test]
fn the_payload_keeps_its_form() {
    let payload = serde_json::to_value(EraseTenant { tenant_id: TenantId::SYSTEM }).unwrap();
    assert_eq!(payload, json!({ "tenant_id": "00000000-0000-0000-0000-000000000000" }));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_table_with_a_tenant_is_erased_before_those_it_refers_to(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let known: BTreeSet<String> = TABLES.iter().chain(APART).map(|&table| table.to_owned()).collect();
    let listing = "TABLES in tenants/erasure/store.rs has to name every table with a tenant, and no other";
    assert_eq!(tables(&bench).await, known, "{listing}");
    let mut tx = bench.engine.db.system().await.unwrap();
    let keys: Vec<(String, String)> = sqlx::query_as(
        "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint
         where contype = 'f' and conrelid <> confrelid and confrelid <> 'tenants'::regclass",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let place = |table: &str| TABLES.iter().position(|&known| known == table);
    for (from, to) in keys {
        if let (Some(from_place), Some(to_place)) = (place(&from), place(&to)) {
            assert!(from_place < to_place, "{from} refers to {to}: name it before that in TABLES");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_of_the_tenant_is_left_and_nothing_of_another_is_missing(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let erased = bench.tenant_id;
    fill(&bench).await;
    bench.tenant_id = other_tenant(&bench).await;
    fill(&bench).await;
    let before = count(&bench, erased).await;
    let empty: Vec<_> = before.iter().filter(|(_, rows)| **rows == 0).collect();
    assert!(empty.is_empty(), "insert a row of these in `fill`, so that there is one to erase: {empty:?}");
    let (others, others_files) = (count(&bench, bench.tenant_id).await, files(&bench, bench.tenant_id));
    assert_eq!((files(&bench, erased), others_files), (2, 2));

    let job = erase(&bench, erased).await;
    let result = run_out(&bench, job).await.result.unwrap();
    assert_eq!((&result["jobs"], &result["files"], &result["kept_for_others"]), (&json!(1_001), &json!(2), &json!(1)));
    assert_eq!(count(&bench, erased).await.into_values().sum::<i64>(), 0);
    assert_eq!((files(&bench, erased), files(&bench, bench.tenant_id)), (0, others_files));
    assert_eq!(count(&bench, bench.tenant_id).await, others);
    let mut tx = bench.engine.db.system().await.unwrap();
    let people: i64 = sqlx::query_scalar("select count(*) from users").fetch_one(&mut *tx).await.unwrap();
    let log: Vec<String> = sqlx::query_scalar("select action from audit_log where tenant_id = $1 order by created_at")
        .bind(Uuid::nil())
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(people, 2, "people stay");
    assert_eq!(log, ["tenant.delete", "tenant.erase", "tenant.erased"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn erasing_again_finds_nothing_to_do(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.picture().await;
    let job = erase(&bench, bench.tenant_id).await;
    assert_eq!(erase(&bench, bench.tenant_id).await, job, "asked for twice, it is one job");
    run_out(&bench, job).await;
    let again = bench.enqueue_for_system(&EraseTenant { tenant_id: bench.tenant_id }).await;
    assert_eq!(run_out(&bench, again).await.result.unwrap()["rows"], 0);
    let mut tx = bench.engine.db.system().await.unwrap();
    for nobody in [bench.tenant_id, TenantId::SYSTEM] {
        assert!(
            erasure::erase(&mut tx, &bench.engine.services.keyring, &Actor::command_line(), nobody)
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenants_own_job_erases_nobody(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let job = bench.enqueue(&EraseTenant { tenant_id: other_tenant(&bench).await }).await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.state, JobState::Discarded);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_runs_is_asked_to_stop_and_waited_for(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let running = bench.enqueue(&Noop::default()).await;
    let begin = "with worker as (
          insert into workers (id, name, queues, kinds, expires_at) values ($1, 'x', '{}', '{}', now() + interval '1 hour')
        )
        update jobs set state = 'executing', attempt = 1, worker_id = $1 where id = $1";
    bench.execute(begin, running.0).await;
    let job = erase(&bench, bench.tenant_id).await;
    bench.drain().await;
    assert_eq!((bench.job(job).await.state, bench.error_class(job).await.as_str()), (JobState::Scheduled, "busy"));
    assert!(bench.job(running).await.cancel_requested_at.is_some());
    let end = "update jobs set state = 'available', worker_id = null, run_at = now() where id = $1";
    bench.execute(end, running.0).await;
    bench.drain_after(LOOK_AGAIN * 2).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
    assert_eq!(count(&bench, bench.tenant_id).await.into_values().sum::<i64>(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_call_that_may_have_happened_is_not_made_again(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let account = bench.connect_page().await;
    bench.sandbox.fault("publish_feed", json!({ "drop": "before" })).await;
    let post = publish(&bench, account, None).await;
    bench.drain().await;
    assert_eq!(bench.job(post).await.state, JobState::Suspended, "it is being looked for");
    let job = erase(&bench, bench.tenant_id).await;
    run_out(&bench, job).await;
    bench.drain_after(Duration::from_hours(2)).await;
    assert_eq!((bench.sandbox.calls("publish_feed").await, bench.sandbox.effects().await.len()), (1, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn connections_are_revoked_at_the_provider(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let job = erase(&bench, bench.tenant_id).await;
    assert_eq!(run_out(&bench, job).await.result.unwrap()["revoked"], 1);
    assert_eq!(bench.sandbox.calls("revoke_permissions").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_connection_of_somebody_with_another_tenant_stays(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let erased = bench.tenant_id;
    bench.connect_page().await;
    bench.tenant_id = other_tenant(&bench).await;
    let account = bench.connect_page().await;
    let job = erase(&bench, erased).await;
    let result = run_out(&bench, job).await.result.unwrap();
    assert_eq!((&result["kept_for_others"], bench.sandbox.calls("revoke_permissions").await), (&json!(1), 0));
    let post = publish(&bench, account, None).await;
    bench.drain().await;
    assert_eq!(bench.job(post).await.state, JobState::Completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_provider_that_does_not_revoke_holds_nothing_up_for_ever(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    bench.sandbox.fault("revoke_permissions", json!({ "status": 503, "times": 99 })).await;
    let job = erase(&bench, bench.tenant_id).await;
    bench.drain().await;
    for _ in 1..REVOKING_TRIES {
        assert_eq!((bench.job(job).await.state, bench.job(job).await.failures), (JobState::Scheduled, 0));
        bench.drain_after(REVOKE_AGAIN).await;
    }
    let result: Value = run_out(&bench, job).await.result.unwrap();
    assert_eq!((&result["revoked"], &result["not_revoked"]), (&json!(0), &json!(1)));
    assert_eq!(bench.sandbox.calls("revoke_permissions").await, u64::from(REVOKING_TRIES));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_that_is_dead_already_counts_as_revoked(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    bench.sandbox.graph_error("revoke_permissions", 190, 460).await;
    let job = erase(&bench, bench.tenant_id).await;
    assert_eq!(run_out(&bench, job).await.result.unwrap()["revoked"], 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_hundred_thousand_jobs_in_the_history_go_in_chunks(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let many = "insert into job_history (id, tenant_id, kind, queue, args, state, priority, due_at, attempt, failures, crashes,
          poison, depth, failed_children, counted, created_at, ended_at)
        select gen_random_uuid(), $1, 'noop', 'default', '{}', 'completed', 2, now(), 1, 0, 0, 0, 0, 0, true, now(), now()
        from generate_series(1, 10000)";
    for _ in 0..10 {
        bench.execute(many, bench.tenant_id.0).await;
    }
    let job = erase(&bench, bench.tenant_id).await;
    let result = run_out(&bench, job).await.result.unwrap();
    assert_eq!(result["rows"], 100_000);
    assert_eq!(count(&bench, bench.tenant_id).await["job_history"], 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_that_was_exchanged_and_connected_nothing_is_revoked(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.sandbox.fault("list_accounts", json!({ "status": 503, "body": "<html>" })).await;
    let login = bench.begin_login().await;
    bench.drain().await;
    assert_eq!(bench.job(login).await.state, JobState::Retryable);
    let job = erase(&bench, bench.tenant_id).await;
    assert_eq!(run_out(&bench, job).await.result.unwrap()["revoked"], 1);
    assert_eq!(bench.sandbox.calls("revoke_permissions").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_that_came_after_the_others_were_revoked_is_revoked(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let job = erase(&bench, bench.tenant_id).await;
    let progress = json!({ "jobs": 0, "revoked": 2, "kept_for_others": 0, "not_revoked": 0, "revoking_tries": 1,
        "is_revoked": true, "files": 0, "rows": 0 });
    let place = format!("update jobs set result = '{progress}' where id = $1");
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query(AssertSqlSafe(place)).bind(job.0).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    bench.drain().await;
    assert_eq!((bench.job(job).await.state.name(), bench.sandbox.calls("revoke_permissions").await), ("scheduled", 0));
    bench.drain_after(LOOK_AGAIN * 2).await;
    assert_eq!(run_out(&bench, job).await.result.unwrap()["revoked"], 3);
    assert_eq!(bench.sandbox.calls("revoke_permissions").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_that_is_open_when_the_tenant_goes_comes_to_nothing(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let begin = async |tx: &mut crate::engine::Tx| {
        connections::begin(tx, bench.tenant_id, Provider::Facebook, None, Duration::from_mins(10)).await.unwrap()
    };
    let ticket = begin(&mut tx).await;
    let Services { providers, keyring, .. } = &*bench.engine.services;
    let opened = connections::open_ticket(&mut tx, providers, &ticket).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    erase(&bench, bench.tenant_id).await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from oauth_state").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(left, 0);
    let late = begin(&mut tx).await;
    let none = connections::open_ticket(&mut tx, providers, &late).await.unwrap();
    assert!(none.is_none(), "nor one that begins now");
    let (provider, request, code) = (Provider::Facebook, opened.request, "code".to_owned().into());
    let back = CameBack { provider, state: &request.state, browser: &request.verifier, code: &code };
    let accepted = connections::accept_code(&mut tx, providers, keyring, &back).await;
    assert!(matches!(accepted, Err(connections::CallbackError::State)));
}
