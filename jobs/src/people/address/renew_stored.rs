//! Converts addresses that were stored before there was one canonical form.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::Address;

/// A pattern of addresses that are surely stored in the form of [`Address`]. All others are
/// checked.
const PLAIN: &str = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9](-?[A-Za-z0-9])*\.)+[A-Za-z](-?[A-Za-z0-9])*$";

/// A row whose address stays as it was.
#[derive(Debug, PartialEq, Eq)]
pub struct Unconverted {
    /// The table.
    pub table: &'static str,
    /// The row.
    pub id: Uuid,
    /// The reason, in words.
    pub reason: &'static str,
}

/// Converts the addresses of people, open invitations and tenants. Returns those that stay as they
/// are: addresses that [`Address::parse`] refuses, or that would become the address of another row.
/// Nothing is merged. Needs the system scope. It may be repeated.
pub async fn renew_stored(conn: &mut PgConnection) -> Result<Vec<Unconverted>, sqlx::Error> {
    let people = sqlx::query!(r#"select id, email from users where email !~ $1 order by created_at, id"#, PLAIN)
        .fetch_all(&mut *conn)
        .await?;
    let mut people = Stored::of("users", people.into_iter().map(|row| (row.id, Uuid::nil(), row.email)));
    let done = sqlx::query_scalar!(
        "
        update users
        set email = new.email
        from unnest($1::uuid[], $2::text[]) new (id, email)
        where users.id = new.id
          and not exists (
            select from users other
            where other.email_canonical = lower(new.email collate \"C\") and other.id <> new.id
          )
        returning users.id
        ",
        &people.ids,
        &people.emails
    )
    .fetch_all(&mut *conn)
    .await?;
    people.note_taken(&done);
    let mut left = people.left;
    left.extend(invitations(conn).await?);
    left.extend(tenants(conn).await?);
    Ok(left)
}

async fn invitations(conn: &mut PgConnection) -> Result<Vec<Unconverted>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select id, tenant_id, email
        from invitations
        where accepted_at is null and revoked_at is null and email !~ $1
        order by created_at, id
        "#,
        PLAIN
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut stored = Stored::of("invitations", rows.into_iter().map(|row| (row.id, row.tenant_id, row.email)));
    let done = sqlx::query_scalar!(
        "
        update invitations
        set email = new.email
        from unnest($1::uuid[], $2::text[]) new (id, email)
        where invitations.id = new.id
          and not exists (
            select from invitations other
            where other.tenant_id = invitations.tenant_id and other.email_canonical = lower(new.email collate \"C\")
              and other.accepted_at is null and other.revoked_at is null and other.id <> new.id
          )
        returning invitations.id
        ",
        &stored.ids,
        &stored.emails
    )
    .fetch_all(conn)
    .await?;
    stored.note_taken(&done);
    Ok(stored.left)
}

async fn tenants(conn: &mut PgConnection) -> Result<Vec<Unconverted>, sqlx::Error> {
    let rows =
        sqlx::query!(r#"select id, email as "email!" from tenants where email !~ $1 order by created_at, id"#, PLAIN)
            .fetch_all(&mut *conn)
            .await?;
    // Tenants may share an address.
    let stored = Stored::of("tenants", rows.into_iter().map(|row| (row.id, row.id, row.email)));
    sqlx::query!(
        "
        update tenants
        set email = new.email
        from unnest($1::uuid[], $2::text[]) new (id, email)
        where tenants.id = new.id
        ",
        &stored.ids,
        &stored.emails
    )
    .execute(conn)
    .await?;
    Ok(stored.left)
}

/// The rows of a table: those whose addresses change, and those that stay.
struct Stored {
    table: &'static str,
    ids: Vec<Uuid>,
    emails: Vec<String>,
    left: Vec<Unconverted>,
}

impl Stored {
    /// Sorts rows. Each has an id, the scope in which its address is unique, and the address.
    fn of(table: &'static str, rows: impl Iterator<Item = (Uuid, Uuid, String)>) -> Self {
        let mut stored = Self { table, ids: Vec::new(), emails: Vec::new(), left: Vec::new() };
        let mut same: BTreeMap<(Uuid, String), Vec<(Uuid, Address)>> = BTreeMap::new();
        for (id, scope, email) in rows {
            match Address::parse(&email) {
                // It is stored as it should be.
                Ok(address) if address.canonical() == email.to_ascii_lowercase() => {}
                Ok(address) => same.entry((scope, address.canonical())).or_default().push((id, address)),
                Err(_) => stored.leave(id, "it is no address that mail can be sent to"),
            }
        }
        for rows in same.into_values() {
            if let [(id, address)] = rows.as_slice() {
                stored.ids.push(*id);
                stored.emails.push(address.as_str().to_owned());
            } else {
                for (id, _) in &rows {
                    stored.leave(*id, TAKEN);
                }
            }
        }
        stored
    }

    fn note_taken(&mut self, done: &[Uuid]) {
        let taken: Vec<Uuid> = self.ids.iter().copied().filter(|id| !done.contains(id)).collect();
        for id in taken {
            self.leave(id, TAKEN);
        }
    }

    fn leave(&mut self, id: Uuid, reason: &'static str) {
        self.left.push(Unconverted { table: self.table, id, reason });
    }
}

const TAKEN: &str = "another row has the same address in another form";

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{people::store, testing::Bench};

    async fn insert(conn: &mut PgConnection, email: &str) -> Uuid {
        let id = Uuid::now_v7();
        sqlx::query("insert into users (id, email) values ($1, $2)").bind(id).bind(email).execute(conn).await.unwrap();
        id
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn stored_addresses_are_converted_and_conflicts_reported(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let mut tx = bench.engine.db.system().await.unwrap();
        let plain = insert(&mut tx, "Ada@Example.com").await;
        let unicode = insert(&mut tx, "Ada@Bücher.example").await;
        let kelvin = insert(&mut tx, "\u{212a}im@example.com").await;
        let dotted = insert(&mut tx, "a..b@example.com").await;
        let punycode = insert(&mut tx, "bob@xn--bcher-kva.example").await;
        let taken = insert(&mut tx, "Bob@bücher.example").await;
        let sql = "insert into invitations (id, tenant_id, email, role, expires_at)
            select $1, $2, 'Guest@bücher.example', 'member', now()";
        sqlx::query(sql).bind(Uuid::now_v7()).bind(bench.tenant_id.0).execute(&mut *tx).await.unwrap();

        let mut left = renew_stored(&mut tx).await.unwrap();
        left.sort_by_key(|row| row.id);
        let left: Vec<_> = left.iter().map(|row| (row.table, row.id)).collect();
        assert_eq!(left, [("users", kelvin), ("users", dotted), ("users", taken)]);
        let found = async |conn: &mut PgConnection, email: &str| {
            store::find_by_email(conn, &Address::parse(email).unwrap()).await.unwrap().map(|user| user.id.0)
        };
        assert_eq!(found(&mut tx, "ada@bücher.example").await, Some(unicode));
        assert_eq!(found(&mut tx, "ada@example.com").await, Some(plain));
        assert_eq!(found(&mut tx, "bob@bücher.example").await, Some(punycode));
        let invited: String =
            sqlx::query_scalar("select email_canonical from invitations").fetch_one(&mut *tx).await.unwrap();
        assert_eq!(invited, "guest@xn--bcher-kva.example");
        assert_eq!(renew_stored(&mut tx).await.unwrap().len(), 3, "again, nothing changes");
    }
}
