use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::*;
use crate::{
    connections::store as connections,
    ids::{JobId, TenantId, TokenId},
    secrets::{Keyring, SecretLocation},
    testing::{Bench, ENCRYPTION_KEYS},
};

fn ring(keys: &str) -> Keyring {
    Keyring::parse(keys).unwrap()
}

/// A keyring whose first key is new, and that still has the one that the bench wrote with.
fn rotated() -> Keyring {
    ring(&format!("new:{},{ENCRYPTION_KEYS}", STANDARD.encode(Sha256::digest("new"))))
}

async fn run(bench: &Bench) -> (JobId, serde_json::Value) {
    let job = bench.enqueue_for_system(&RotateEncryptionKeys {}).await;
    (job, bench.run(job).await.result.unwrap())
}

/// Returns the stored envelopes of all tokens, by their tenant and id.
async fn tokens(bench: &Bench) -> Vec<(Uuid, Uuid, String)> {
    let mut tx = bench.engine.db.system().await.unwrap();
    let sql = "select tenant_id, id, access_token from oauth_tokens order by id";
    sqlx::query_as(sql).fetch_all(&mut *tx).await.unwrap()
}

fn read(keyring: &Keyring, (tenant_id, id, envelope): &(Uuid, Uuid, String)) -> String {
    let place = connections::token_place(TenantId(*tenant_id), TokenId(*id));
    keyring.decrypt(place, envelope).unwrap().expose_secret().to_owned()
}

#[test]
fn the_payload_keeps_its_form() {
    assert_eq!(serde_json::to_value(RotateEncryptionKeys {}).unwrap(), json!({}));
}

#[sqlx::test(migrations = "../migrations")]
async fn every_column_of_secrets_is_rotated(pool: PgPool) {
    let described: Vec<(String, String)> = sqlx::query_as(
        "
        select class.relname::text, attname::text
        from pg_description
        join pg_class class on class.oid = objoid
        join pg_attribute on attrelid = objoid and attnum = objsubid
        where relnamespace = 'public'::regnamespace and description ~* '\\mencrypted\\M'
        ",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let described: BTreeSet<_> = described.iter().map(|(table, column)| (table.as_str(), column.as_str())).collect();
    let rotated: BTreeSet<_> = SECRET_COLUMNS.iter().map(|of| (of.table, of.column)).collect();
    assert_eq!(rotated, described, "add to SECRET_COLUMNS what a comment calls encrypted");
}

#[sqlx::test(migrations = "../migrations")]
async fn secrets_move_to_the_first_key_and_stay_readable(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    bench.connect_page().await;
    let before = tokens(&bench).await;
    assert_eq!(run(&bench).await.1, json!({ "rotated": 0, "unreadable": 0 }));
    assert_eq!(tokens(&bench).await, before, "the first key wrote them");

    Arc::make_mut(&mut bench.engine.services).keyring = rotated();
    let (_, result) = run(&bench).await;
    assert_eq!(result["unreadable"], 0);
    assert!(result["rotated"].as_u64() >= Some(before.len() as u64), "{result}");
    let after = tokens(&bench).await;
    assert!(after.iter().all(|(_, _, envelope)| envelope.starts_with("v1.new.")), "{after:?}");
    let words = |keyring: &Keyring, rows: &[_]| rows.iter().map(|row| read(keyring, row)).collect::<Vec<_>>();
    assert_eq!(words(&rotated(), &after), words(&ring(ENCRYPTION_KEYS), &before));
    assert_eq!(run(&bench).await.1, json!({ "rotated": 0, "unreadable": 0 }));
    assert_eq!(tokens(&bench).await, after, "a second run changes nothing");
}

/// Inserts a secret that is bound to a place, with a statement that takes its id and the envelope.
async fn insert(bench: &Bench, place: SecretLocation, sql: &'static str) {
    let envelope = ring(ENCRYPTION_KEYS).encrypt(place, &SecretString::from("kept"));
    let mut tx = bench.engine.db.system().await.unwrap();
    let row = sqlx::query(sql).bind(place.row_id).bind(place.tenant_id.0).bind(envelope);
    row.execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn secrets_of_each_table_are_bound_to_the_same_place_as_before(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let at = |table, column, tenant_id| SecretLocation { table, column, tenant_id, row_id: Uuid::now_v7() };
    let places = [
        at("oauth_state", "verifier", bench.tenant_id),
        at("idempotency_keys", "answer", bench.tenant_id),
        at("revocations", "access_token", bench.tenant_id),
        at("service_keys", "secret", bench.tenant_id),
        at("second_factors", "secret", TenantId::SYSTEM),
    ];
    for (place, sql) in places.into_iter().zip([
        "insert into oauth_state (id, tenant_id, provider, ticket_sha256, verifier, expires_at)
         values ($1, $2, 'facebook', '', $3, engine_now())",
        "insert into idempotency_keys (id, tenant_id, caller_id, key_sha256, request_sha256, status, answer)
         values ($1, $2, $1, '', '', 200, $3)",
        "insert into revocations (id, tenant_id, provider, subject_id, access_token) values ($1, $2, 'facebook', '', $3)",
        "insert into service_keys (id, tenant_id, service, secret, last_four) values ($1, $2, 'openai', $3, '')",
        "with person as (insert into users (id, email) select $1, 'ada@example.com' where $2 is not null returning id)
         insert into second_factors (user_id, secret) select id, $3 from person",
    ]) {
        insert(&bench, place, sql).await;
    }
    Arc::make_mut(&mut bench.engine.services).keyring = rotated();
    assert_eq!(run(&bench).await.1, json!({ "rotated": places.len(), "unreadable": 0 }));
    for place in places {
        let SecretLocation { table, column, .. } = place;
        let mut tx = bench.engine.db.system().await.unwrap();
        let sql = format!("select {column} from {table} where {column} is not null");
        let envelope: String = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *tx).await.unwrap();
        assert!(envelope.starts_with("v1.new."), "{table}");
        assert_eq!(rotated().decrypt(place, &envelope).unwrap().expose_secret(), "kept");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_secret_that_cannot_be_read_is_kept_and_named(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    bench.connect_page().await;
    let kept = tokens(&bench).await.remove(0);
    bench.execute("update oauth_tokens set access_token = 'v1.gone.AAAA.AAAA' where id = $1", kept.1).await;
    Arc::make_mut(&mut bench.engine.services).keyring = rotated();
    let (job, result) = run(&bench).await;
    assert_eq!(result["unreadable"], 1);
    assert!(result["rotated"].as_u64() > Some(0), "the others are rotated: {result}");
    assert!(tokens(&bench).await.iter().any(|token| token.1 == kept.1 && token.2 == "v1.gone.AAAA.AAAA"));
    let mut tx = bench.engine.db.system().await.unwrap();
    let lines = sqlx::query_scalar("select message from job_events where job_id = $1").bind(job.0);
    let lines: Vec<String> = lines.fetch_all(&mut *tx).await.unwrap();
    let name = kept.1.to_string();
    assert!(lines.iter().any(|line| line.contains(&name) && line.contains("\"gone\"")), "{lines:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_secret_that_was_replaced_meanwhile_is_not_overwritten(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let column = SECRET_COLUMNS[0];
    let mut tx = bench.engine.db.system().await.unwrap();
    let all = Part { after: "(0,0)".to_owned(), before: "(1000,0)".to_owned() };
    let found = store::list_older(&mut tx, column, "new", &all, SECRETS_AT_ONCE).await.unwrap();
    let fresh = rotated().encrypt(column.place(&found[0]), &SecretString::from("fresh"));
    sqlx::query("update oauth_tokens set access_token = $2 where id = $1")
        .bind(found[0].row_id)
        .bind(&fresh)
        .execute(&mut *tx)
        .await
        .unwrap();
    let stale: Vec<_> = found.iter().map(|found| (found, "v1.new.stale.stale".to_owned())).collect();
    assert_eq!(store::replace(&mut tx, column, &stale).await.unwrap(), found.len() as u64 - 1);
    tx.commit().await.unwrap();
    assert!(tokens(&bench).await.iter().any(|(_, _, envelope)| *envelope == fresh));
}
