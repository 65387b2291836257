//! The SQL of columns that store secrets.

use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use crate::{ids::TenantId, secrets::SecretLocation};

/// A column that stores secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SecretColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// The column with the id that a secret is bound to.
    id: &'static str,
    /// The tenant that a secret is bound to, in SQL. `null`: the system.
    tenant: &'static str,
}

impl SecretColumn {
    const fn of_tenants(table: &'static str, column: &'static str) -> Self {
        Self { table, column, id: "id", tenant: "tenant_id" }
    }

    const fn of_people(table: &'static str, column: &'static str) -> Self {
        Self { table, column, id: "user_id", tenant: "null::uuid" }
    }

    pub(super) fn place(self, secret: &Found) -> SecretLocation {
        let tenant_id = secret.tenant_id.map_or(TenantId::SYSTEM, TenantId);
        SecretLocation { table: self.table, column: self.column, tenant_id, row_id: secret.row_id }
    }
}

/// Every column that stores secrets. Tests compare the list with the comments of the database.
pub(super) const SECRET_COLUMNS: &[SecretColumn] = &[
    SecretColumn::of_tenants("oauth_tokens", "access_token"),
    SecretColumn::of_tenants("oauth_tokens", "refresh_token"),
    SecretColumn::of_tenants("oauth_state", "code"),
    SecretColumn::of_tenants("oauth_state", "verifier"),
    SecretColumn::of_tenants("oauth_state", "user_token"),
    SecretColumn::of_tenants("oauth_state", "refresh_token"),
    SecretColumn::of_tenants("revocations", "access_token"),
    SecretColumn::of_tenants("service_keys", "secret"),
    SecretColumn::of_tenants("idempotency_keys", "answer"),
    SecretColumn::of_people("second_factors", "secret"),
];

/// A secret that is encrypted with an older key.
#[derive(Debug, FromRow)]
pub(super) struct Found {
    /// The place of the row in its table, until somebody changes the row.
    pub at: String,
    pub tenant_id: Option<Uuid>,
    pub row_id: Uuid,
    pub envelope: String,
}

/// A part of a table: from one place up to another one, in the words of `tid`.
#[derive(Debug)]
pub(super) struct Part {
    pub after: String,
    pub before: String,
}

/// Returns the number of pages of a column's table.
pub(super) async fn count_pages(conn: &mut PgConnection, column: SecretColumn) -> Result<usize, sqlx::Error> {
    let pages = sqlx::query_scalar!(
        r#"select pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint as "pages!""#,
        column.table
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(pages).expect("a size"))
}

/// Returns the first secrets of a part that are not encrypted with the key `key_id`. Erased ones
/// are empty.
///
/// Reading by place needs no index, and reads each row once however many there are.
pub(super) async fn list_older(
    conn: &mut PgConnection,
    column: SecretColumn,
    key_id: &str,
    part: &Part,
    limit: usize,
) -> Result<Vec<Found>, sqlx::Error> {
    let SecretColumn { table, column, id, tenant } = column;
    let sql = format!(
        "
        select ctid::text as at, {tenant} as tenant_id, {id} as row_id, {column} as envelope
        from {table}
        where ctid > $1::text::tid and ctid < $2::text::tid and not starts_with({column}, $3) and {column} <> ''
        order by ctid
        limit $4
        "
    );
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(&part.after)
        .bind(&part.before)
        .bind(format!("v1.{key_id}."))
        .bind(i64::try_from(limit).expect("a small number"))
        .fetch_all(conn)
        .await
}

/// Replaces secrets that have not changed since they were read. Returns the number replaced.
pub(super) async fn replace(
    conn: &mut PgConnection,
    SecretColumn { table, column, .. }: SecretColumn,
    secrets: &[(&Found, String)],
) -> Result<u64, sqlx::Error> {
    let sql = format!(
        "
        update {table}
        set {column} = new.envelope
        from unnest($1::text[]::tid[], $2::text[], $3::text[]) as new (at, before, envelope)
        where {table}.ctid = new.at and {table}.{column} = new.before
        "
    );
    let at: Vec<&str> = secrets.iter().map(|(found, _)| found.at.as_str()).collect();
    let before: Vec<&str> = secrets.iter().map(|(found, _)| found.envelope.as_str()).collect();
    let after: Vec<&str> = secrets.iter().map(|(_, envelope)| envelope.as_str()).collect();
    Ok(sqlx::query(AssertSqlSafe(sql)).bind(at).bind(before).bind(after).execute(conn).await?.rows_affected())
}
