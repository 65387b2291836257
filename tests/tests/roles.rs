//! What the database login may do.

#![expect(clippy::unwrap_used, reason = "a test may")]

use jobs::engine::Db;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tests::optional_setting;

/// The cluster's superuser, in the database of the test.
async fn superuser(pool: &PgPool, url: &str) -> PgPool {
    let options: PgConnectOptions = url.parse().unwrap();
    let database = pool.connect_options().get_database().unwrap().to_owned();
    PgPool::connect_with(options.database(&database)).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_superusers_transactions_take_on_the_role_that_row_level_security_binds(pool: PgPool) {
    let Some(url) = optional_setting("SUPERUSER_DATABASE_URL") else {
        println!("skipped: the database was given, and with it no superuser");
        return;
    };
    let superuser = superuser(&pool, &url).await;
    sqlx::query("grant select on all tables in schema public to linecook_app").execute(&superuser).await.unwrap();
    let past_the_policies: i64 =
        sqlx::query_scalar("select count(*) from tenants").fetch_one(&superuser).await.unwrap();
    assert_eq!(past_the_policies, 1, "a superuser sees the system tenant by itself");
    let db = Db::from_pool(superuser, None).await.unwrap();
    let mut tx = db.tenant(jobs::ids::TenantId::new()).await.unwrap();
    let seen: i64 = sqlx::query_scalar("select count(*) from tenants").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(seen, 0);
}
