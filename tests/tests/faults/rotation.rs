//! Tests of encrypting secrets again while workers die and others read.

use std::collections::BTreeMap;

use jobs::{
    connections::store::token_place, ids::TokenId, secrets::Keyring, testing::ENCRYPTION_KEYS,
    upkeep::RotateEncryptionKeys,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sqlx::PgPool;
use tests::{TestApp, fault_trial::small_or_long, until};
use uuid::Uuid;

use crate::TWO_MINUTES;

/// A key that the tokens were not encrypted with, before the one that they were.
const NEW_KEY: &str = "new:IkYQ8QKJC8DkDEn/tFa7k9Rabe6I3Jp77zUfoQ0/hYI=";

/// Makes each update take so long that a worker can be killed in the middle.
const SLOW: &str = "
    create function linger() returns trigger language plpgsql as 'begin perform pg_sleep(0.003); return new; end';
    create trigger linger before update on oauth_tokens for each row execute function linger();
";

/// The tokens of accounts that nobody refreshes, and the text of each.
struct Tokens {
    app: TestApp,
    words: BTreeMap<Uuid, String>,
}

impl Tokens {
    async fn insert(app: TestApp, pool: &PgPool, count: usize) -> Self {
        let (old, tenant) = (Keyring::parse(ENCRYPTION_KEYS).unwrap(), app.bench.tenant_id);
        let words: BTreeMap<Uuid, String> = (0..count).map(|n| (Uuid::now_v7(), format!("token {n}"))).collect();
        let encrypt = |(id, word): (&Uuid, &String)| {
            old.encrypt(token_place(tenant, TokenId(*id)), &SecretString::from(word.as_str()))
        };
        let mut tx = app.bench.engine.db.system().await.unwrap();
        sqlx::query(
            "
            insert into oauth_tokens (id, tenant_id, provider, kind, subject_id, access_token)
            select id, $1, 'facebook', 'page', id::text, envelope
            from unnest($2::uuid[], $3::text[]) as new (id, envelope)
            ",
        )
        .bind(tenant.0)
        .bind(words.keys().copied().collect::<Vec<_>>())
        .bind(words.iter().map(encrypt).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        sqlx::raw_sql(SLOW).execute(pool).await.unwrap();
        Self { app, words }
    }

    /// Reads every token with both keys. Returns the number that only the old key reads.
    async fn read(&self, keyring: &Keyring) -> usize {
        let mut tx = self.app.bench.engine.db.system().await.unwrap();
        let rows = sqlx::query_as("select id, access_token from oauth_tokens").fetch_all(&mut *tx).await;
        let rows: Vec<(Uuid, String)> = rows.unwrap();
        drop(tx);
        assert_eq!(rows.len(), self.words.len());
        for (id, envelope) in &rows {
            let place = token_place(self.app.bench.tenant_id, TokenId(*id));
            assert_eq!(keyring.decrypt(place, envelope).unwrap().expose_secret(), self.words[id]);
        }
        rows.iter().filter(|(_, envelope)| !envelope.starts_with("v1.new.")).count()
    }
}

/// Rotation goes on where it was cut, and every token can be read at every moment.
#[sqlx::test(migrations = "../migrations")]
async fn rotating_goes_on_after_kills_and_no_read_fails(pool: PgPool) {
    let (count, kills) = small_or_long((500, 1), (10_000, 5));
    let tokens = Tokens::insert(TestApp::new(pool.clone()).await, &pool, count).await;
    let keys = format!("{NEW_KEY},{ENCRYPTION_KEYS}");
    let keyring = Keyring::parse(&keys).unwrap();
    let environment = [("ENCRYPTION_KEYS", keys.as_str()), ("WORKER_LEASE_SECONDS", "3")];
    let job = tokens.app.bench.enqueue_for_system(&RotateEncryptionKeys {}).await;
    let mut worker = tokens.app.worker(&environment).await;
    for kill in 1..=kills {
        until("another part is rotated", TWO_MINUTES, async || {
            (tokens.read(&keyring).await <= count - count * kill / (kills + 1)).then_some(())
        })
        .await;
        worker.kill().await;
        worker = tokens.app.worker(&environment).await;
    }
    let ended = until("all are rotated", TWO_MINUTES, async || {
        tokens.read(&keyring).await;
        let job: Value = tokens.app.get(&format!("/api/v1/jobs/{job}")).await;
        (job["state"] == "completed").then_some(job)
    })
    .await;
    assert_eq!(tokens.read(&keyring).await, 0, "{ended}");
    let progress = &ended["progress"];
    assert!(progress["done"].as_u64() > Some(0) && progress["done"] == progress["total"], "{ended}");
    assert_eq!(ended["result"]["unreadable"], 0, "{ended}");
    worker.terminate().await;
}
