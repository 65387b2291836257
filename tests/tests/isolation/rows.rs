//! Rows in every table with row-level security, generated from the catalogue. A new table is
//! covered without being listed here.

use jobs::{engine::Db, ids::TenantId, tenants};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, prelude::FromRow};
use uuid::Uuid;

/// A tenant, and the id of each of its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) tenant: Uuid,
    pub(crate) row: Uuid,
}

/// A table with row-level security.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Bound {
    pub(crate) name: String,
    /// The column with the tenant, if there is one.
    pub(crate) tenant: Option<String>,
    /// The statement that inserts the row $2 of tenant $1.
    pub(crate) insert: String,
}

impl Bound {
    /// Returns the condition for the rows of tenant $1, whose row is $2.
    pub(crate) fn is_own(&self) -> String {
        match (&self.tenant, self.name.as_str()) {
            (Some(column), _) => format!("{column} = $1"),
            (None, "users") => "id = $2".to_owned(),
            (None, _) => "false".to_owned(),
        }
    }

    /// Returns true if tenants see some of its rows.
    pub(crate) fn has_owners(&self) -> bool {
        self.tenant.is_some() || self.name == "users"
    }
}

/// Returns the bound tables with an insert statement each. Each required column gets the first
/// value that a check allows, or else a value of its type. References are valid because all rows of
/// an owner have the same id.
pub(crate) async fn bound_tables(connection: &mut PgConnection) -> Vec<Bound> {
    let sql = r"
        with columns as (
          select c.oid, c.relname::text as name, a.attnum, a.attname,
            a.attname = case c.relname when 'tenants' then 'id' else 'tenant_id' end as is_tenant,
            (
              select max((regexp_match(pg_get_constraintdef(k.oid), '(?:ARRAY\[|= )(''[^'']*'')::text'))[1])
              from pg_constraint k
              where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]
            ) as allowed,
            a.atttypid::regtype::text as type,
            (a.attnotnull and not a.atthasdef and a.attidentity = '')
              -- What a check over several columns asks for.
              or (c.relname, a.attname) in (
                ('audit_log', 'seq'), ('audit_log', 'key_id'), ('audit_log', 'mac'), ('idempotency_keys', 'locked_until')
              ) as is_needed
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relrowsecurity
        )
        select name, max(attname) filter (where is_tenant)::text as tenant,
          format(
            'insert into %I (%s) values (%s)', name, string_agg(quote_ident(attname), ', ' order by attnum),
            string_agg(
              case
                when is_tenant then '$1'
                when name = 'job_events' and attname = 'level' then '''info'''
                when allowed is not null then allowed
                else case type
                  when 'uuid' then '$2'
                  when 'text' then '$2::text'
                  when 'bytea' then 'convert_to($2::text, ''UTF8'')'
                  when 'text[]' then '''{*}'''
                  when 'json' then '''{}'''
                  when 'jsonb' then '''{}'''
                  when 'boolean' then 'false'
                  when 'date' then '''2026-01-01'''
                  when 'timestamp with time zone' then 'engine_stamp()'
                  else '1'
                end
              end,
              ', ' order by attnum
            )
          ) as insert
        from columns
        where is_needed or is_tenant
        group by oid, name
        order by name
        ";
    sqlx::query_as(sql).fetch_all(connection).await.unwrap()
}

/// Runs an insert for an owner.
pub(crate) async fn insert(connection: &mut PgConnection, table: &Bound, owner: Owner) -> Result<(), sqlx::Error> {
    let sql = AssertSqlSafe(table.insert.clone());
    sqlx::query(sql).bind(owner.tenant).bind(owner.row).execute(connection).await.map(|_| ())
}

/// Creates a tenant with a row in every bound table, referenced tables first.
pub(crate) async fn make_owner(db: &Db, tables: &[Bound]) -> Owner {
    let mut tx = db.system().await.unwrap();
    let owner = Owner { tenant: Uuid::now_v7(), row: Uuid::now_v7() };
    let mut left: Vec<&Bound> = tables.iter().collect();
    while !left.is_empty() {
        let (before, mut refused) = (left.len(), Vec::new());
        let mut later = Vec::new();
        for table in left {
            let mut savepoint = tx.begin().await.unwrap();
            match insert(&mut savepoint, table, owner).await {
                Ok(()) => savepoint.commit().await.unwrap(),
                Err(error) => {
                    refused.push(format!("{}: {error}", table.name));
                    later.push(table);
                }
            }
        }
        assert!(later.len() < before, "no row could be made: {refused:#?}");
        left = later;
    }
    tx.commit().await.unwrap();
    owner
}

/// Creates a tenant and no other row.
pub(crate) async fn make_tenant(db: &Db) -> TenantId {
    let mut tx = db.system().await.unwrap();
    let tenant =
        tenants::store::insert(&mut tx, "Krusty Pizza", "krusty@example.com", tenants::plans::Plan::Pro).await.unwrap();
    tx.commit().await.unwrap();
    tenant.id
}
