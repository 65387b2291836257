//! Tests that no tenant reads or writes another's rows, whatever the database login is.

use jobs::{
    engine::{Db, Scope},
    ids::TenantId,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tests::{catalogue::complaints, optional_setting};
use uuid::Uuid;

use crate::rows::{Bound, Owner, bound_tables, insert, make_owner};

/// PostgreSQL's code for a row that a policy, or a missing privilege, forbids.
const FORBIDDEN: &str = "42501";

/// Counts the visible rows of each table, and the owner's among them.
async fn count(connection: &mut PgConnection, tables: &[Bound], owner: Owner) -> Vec<(String, i64, i64)> {
    let each = tables.iter().map(|table| {
        let own = table.is_own();
        format!("select '{0}', count(*), count(*) filter (where {own}) from {0}", table.name)
    });
    let sql = format!("{} order by 1", each.collect::<Vec<_>>().join(" union all "));
    let sql = AssertSqlSafe(sql);
    sqlx::query_as(sql).bind(owner.tenant).bind(owner.row).fetch_all(connection).await.unwrap()
}

/// Opens a transaction without a scope, in the role of transactions with one.
async fn without_scope(pool: &PgPool, role: &'static str) -> Transaction<'static, Postgres> {
    pool.begin_with(role).await.unwrap()
}

async fn assert_nothing_is_seen(connection: &mut PgConnection, tables: &[Bound], owner: Owner, when: &str) {
    for (table, rows, _) in count(connection, tables, owner).await {
        assert_eq!(rows, 0, "{table}, {when}");
    }
}

/// A login under test: its connections, and the statements that begin a transaction without scope.
struct Login {
    pool: PgPool,
    begin: &'static str,
}

/// The statement of an ordinary login.
const OWNER: &str = "begin";
/// The statements of a login that policies do not bind.
const BYPASSING: &str = "begin; set local role linecook_app";

impl Login {
    async fn new(options: PgConnectOptions, begin: &'static str) -> Self {
        // One connection shows in a transaction what an earlier one left behind.
        Self { pool: PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap(), begin }
    }

    /// Checks all isolation rules for this login.
    async fn keeps_tenants_apart(&self) {
        assert_eq!(complaints(&self.pool).await.unwrap(), [""; 0]);
        let db = Db::from_pool(self.pool.clone(), None).await.unwrap();
        let tables = bound_tables(&mut db.system().await.unwrap()).await;
        assert!(tables.iter().any(|table| table.name == "posts"), "{tables:?}");
        let (one, other) = (make_owner(&db, &tables).await, make_owner(&db, &tables).await);
        for (table, rows, own) in count(&mut db.system().await.unwrap(), &tables, one).await {
            assert!(rows >= 2 && rows > own, "the system sees rows of both in {table}: {rows}");
        }
        self.without_a_scope_nothing_is_seen(&db, &tables, one).await;
        for owner in [one, other] {
            self.a_tenant_sees_its_own(&db, &tables, owner).await;
        }
        nothing_is_written_for_another(&db, &tables, one, other).await;
        self.without_a_scope_nothing_is_written(&tables).await;
    }

    async fn without_a_scope_nothing_is_seen(&self, db: &Db, tables: &[Bound], owner: Owner) {
        // A setting is empty after it was set, and null before.
        self.pool.acquire().await.unwrap().close().await.unwrap();
        let mut fresh = without_scope(&self.pool, self.begin).await;
        assert_nothing_is_seen(&mut fresh, tables, owner, "in a fresh session").await;
        fresh.rollback().await.unwrap();
        for scope in [Scope::System, Scope::Tenant(TenantId(owner.tenant))] {
            let mut tx = db.begin(scope).await.unwrap();
            assert!(count(&mut tx, tables, owner).await.iter().any(|(_, rows, _)| *rows > 0));
            tx.commit().await.unwrap();
            let mut used = without_scope(&self.pool, self.begin).await;
            assert_nothing_is_seen(&mut used, tables, owner, &format!("after {scope:?}")).await;
            used.rollback().await.unwrap();
        }
    }

    async fn a_tenant_sees_its_own(&self, db: &Db, tables: &[Bound], owner: Owner) {
        let mut tx = db.tenant(TenantId(owner.tenant)).await.unwrap();
        let counts = count(&mut tx, tables, owner).await;
        for (table, (name, rows, own)) in tables.iter().zip(counts) {
            assert_eq!(table.name, name);
            assert_eq!(rows, own, "rows of others in {name}");
            assert_eq!(own > 0, table.has_owners(), "own rows in {name}: {own}");
        }
        drop(tx);
        let mut tx = db.tenant(TenantId::new()).await.unwrap();
        assert_nothing_is_seen(&mut tx, tables, owner, "by a tenant without rows").await;
    }

    async fn without_a_scope_nothing_is_written(&self, tables: &[Bound]) {
        let mut tx = without_scope(&self.pool, self.begin).await;
        for table in tables {
            let new = Owner { tenant: Uuid::now_v7(), row: Uuid::now_v7() };
            assert_forbidden(&mut tx, table, new, "without a scope").await;
        }
    }
}

async fn assert_forbidden(connection: &mut PgConnection, table: &Bound, new: Owner, when: &str) {
    let mut savepoint = connection.begin().await.unwrap();
    let error = insert(&mut savepoint, table, new).await.expect_err(&format!("a row of {}, {when}", table.name));
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    assert_eq!(code, FORBIDDEN, "{}, {when}: {error}", table.name);
    savepoint.rollback().await.unwrap();
}

/// Checks in the scope of `one` that rows of `other` cannot be inserted, updated or deleted. No own
/// row can move to another tenant either.
async fn nothing_is_written_for_another(db: &Db, tables: &[Bound], one: Owner, other: Owner) {
    let mut tx = db.tenant(TenantId(one.tenant)).await.unwrap();
    for table in tables {
        let tenant = if table.name == "tenants" { Uuid::now_v7() } else { other.tenant };
        assert_forbidden(&mut tx, table, Owner { tenant, row: Uuid::now_v7() }, "for another").await;
        let Some(column) = &table.tenant else { continue };
        let name = &table.name;
        for sql in [
            format!("update {name} set {column} = {column} where {column} = $1"),
            format!("delete from {name} where {column} = $1"),
        ] {
            let touched = attempt(&mut tx, &sql, other.tenant).await;
            assert_eq!(touched.unwrap_or(0), 0, "{sql}");
        }
        let moving = format!("update {name} set {column} = $1");
        assert_eq!(attempt(&mut tx, &moving, Uuid::now_v7()).await, None, "{moving}");
    }
    let deleting = "delete from users where current_tenant_id is distinct from $1";
    assert_eq!(attempt(&mut tx, deleting, Uuid::now_v7()).await, Some(0), "people may belong to other tenants too");
}

/// Executes a statement and rolls it back. Returns the number of affected rows, or none if it is
/// forbidden.
async fn attempt(connection: &mut PgConnection, sql: &str, tenant: Uuid) -> Option<u64> {
    let mut savepoint = connection.begin().await.unwrap();
    let touched = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(tenant).execute(&mut *savepoint).await;
    savepoint.rollback().await.unwrap();
    match touched {
        Ok(done) => Some(done.rows_affected()),
        Err(error) => {
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
            assert_eq!(code, FORBIDDEN, "{sql}: {error}");
            None
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn as_the_owner_tenants_are_kept_apart(pool: PgPool) {
    Login::new(pool.connect_options().as_ref().clone(), OWNER).await.keeps_tenants_apart().await;
}

/// Returns the superuser's options for the test's database, after `admin migrate` has granted the
/// role its rights there.
async fn superuser(pool: &PgPool) -> Option<PgConnectOptions> {
    let Some(url) = optional_setting("SUPERUSER_DATABASE_URL") else {
        println!("skipped: the database was given, and with it no superuser");
        return None;
    };
    Db::migrate(pool.connect_options().to_url_lossy().as_str()).await.unwrap();
    let options: PgConnectOptions = url.parse().unwrap();
    Some(options.database(pool.connect_options().get_database().unwrap()))
}

/// Checks that policies do not bind the login by itself. Otherwise the test would show nothing.
async fn assert_bypasses(login: &Login) {
    let past_the_policies: i64 =
        sqlx::query_scalar("select count(*) from tenants").fetch_one(&login.pool).await.unwrap();
    assert_eq!(past_the_policies, 1, "it sees the system tenant by itself");
}

#[sqlx::test(migrations = "../migrations")]
async fn as_a_superuser_tenants_are_kept_apart(pool: PgPool) {
    let Some(options) = superuser(&pool).await else { return };
    let login = Login::new(options, BYPASSING).await;
    assert_bypasses(&login).await;
    login.keeps_tenants_apart().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn as_a_login_that_bypasses_row_level_security_tenants_are_kept_apart(pool: PgPool) {
    let Some(options) = superuser(&pool).await else { return };
    let superuser = PgPool::connect_with(options).await.unwrap();
    let name = format!("bypassing_{}", Uuid::now_v7().simple());
    let create = format!(
        "create role {name} login bypassrls; grant linecook_app, linecook to {name}; grant temporary on database \"{}\" to {name}",
        pool.connect_options().get_database().unwrap()
    );
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&superuser).await.unwrap();
    let login = Login::new(pool.connect_options().as_ref().clone().username(&name), BYPASSING).await;
    assert_bypasses(&login).await;
    login.keeps_tenants_apart().await;
    login.pool.close().await;
    let remove = format!("drop owned by {name}; drop role {name}");
    sqlx::raw_sql(AssertSqlSafe(remove)).execute(&superuser).await.unwrap();
}
