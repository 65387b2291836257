//! A soak test of interleaved transactions of many tenants over few connections. Most transactions
//! end badly, and none may see another tenant's row.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Instant,
};

use jobs::{
    engine::{Db, NewJob},
    ids::TenantId,
    noop::Noop,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tests::optional_setting;
use uuid::Uuid;

use crate::rows::make_tenant;

const TENANTS: usize = 20;
const TASKS: u64 = 40;
/// The number of connections that the tasks share.
pub(crate) const CONNECTIONS: u32 = 8;
pub(crate) const TRANSACTIONS: u64 = 10_000;

/// The course of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// The transaction reads, writes and commits.
    Commits,
    /// The transaction writes and is dropped.
    IsDropped,
    /// The transaction's future is dropped at a random await, from its beginning to its commit.
    IsAbandoned,
    /// A statement of the transaction fails.
    Fails,
    /// The transaction's backend is terminated.
    IsTerminated,
    /// The transaction sees everything.
    SeesAll,
    /// The transaction has no scope.
    HasNoScope,
}

impl Deed {
    const ALL: &[Self] = &[
        Self::Commits,
        Self::IsDropped,
        Self::IsAbandoned,
        Self::Fails,
        Self::IsTerminated,
        Self::SeesAll,
        Self::HasNoScope,
    ];

    fn any(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..35 => Self::Commits,
            35..45 => Self::IsDropped,
            45..70 => Self::IsAbandoned,
            70..78 => Self::Fails,
            78..83 => Self::IsTerminated,
            83..93 => Self::SeesAll,
            _ => Self::HasNoScope,
        }
    }
}

/// The connections and the violations found on them.
struct Soak {
    db: Db,
    pool: PgPool,
    /// Connections to terminate those of `pool`.
    direct: PgPool,
    tenants: Vec<(TenantId, Uuid)>,
    foreign: AtomicUsize,
    missing: AtomicUsize,
    completed_in_spite: AtomicUsize,
}

/// Runs transactions on the connections of `pool`. `direct` reaches the same database on other
/// connections.
///
/// # Panics
/// If a transaction saw a foreign row, or some fault never happened.
pub(crate) async fn soak(pool: PgPool, direct: PgPool, transactions: u64) {
    let seed: u64 = optional_setting("FAULT_SEED").and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("soak: FAULT_SEED={seed}");
    let soak = Arc::new(Soak::new(pool, direct).await);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (soak, mut random) = (Arc::clone(&soak), StdRng::seed_from_u64(seed.wrapping_add(task)));
            tokio::spawn(async move {
                let mut deeds = BTreeMap::<Deed, usize>::new();
                for _ in 0..transactions / TASKS {
                    *deeds.entry(soak.visit(&mut random).await.unwrap()).or_default() += 1;
                }
                deeds
            })
        })
        .collect();
    let mut deeds = BTreeMap::<Deed, usize>::new();
    for task in tasks {
        for (deed, times) in task.await.unwrap() {
            *deeds.entry(deed).or_default() += times;
        }
    }
    println!("soak: {deeds:?} in {:?}", begun.elapsed());
    assert_eq!(soak.foreign.load(Ordering::Relaxed), 0, "visible rows of other tenants");
    assert_eq!(soak.missing.load(Ordering::Relaxed), 0, "own rows that were not visible");
    assert_eq!(soak.count_dropped().await, 0, "rows of transactions that never committed");
    let in_spite = soak.completed_in_spite.load(Ordering::Relaxed);
    assert!(deeds[&Deed::IsAbandoned] > in_spite, "some futures were dropped before their end");
    for &deed in Deed::ALL {
        assert!(deeds.contains_key(&deed), "nothing {deed:?}");
    }
}

impl Soak {
    async fn new(pool: PgPool, direct: PgPool) -> Self {
        let db = Db::from_pool(pool.clone(), None).await.unwrap();
        let mut tenants = Vec::new();
        for _ in 0..TENANTS {
            let (tenant, own) = (make_tenant(&db).await, Uuid::now_v7());
            let mut tx = db.tenant(tenant).await.unwrap();
            write(&mut tx, tenant, own, "its own").await.unwrap();
            tx.enqueue(NewJob::new(tenant, &Noop::default())).await.unwrap();
            tx.commit().await.unwrap();
            tenants.push((tenant, own));
        }
        let none = AtomicUsize::default;
        Self { db, pool, direct, tenants, foreign: none(), missing: none(), completed_in_spite: none() }
    }

    /// Runs one transaction.
    async fn visit(&self, random: &mut StdRng) -> Result<Deed, sqlx::Error> {
        let (tenant, own) = self.tenants[random.random_range(0..TENANTS)];
        let deed = Deed::any(random);
        match deed {
            Deed::Commits => self.work(tenant, own).await?,
            Deed::IsDropped => {
                let mut tx = self.db.tenant(tenant).await?;
                self.look(&mut tx, tenant, own).await?;
                write(&mut tx, tenant, Uuid::now_v7(), "dropped").await?;
            }
            Deed::IsAbandoned => {
                let awaits = random.random_range(1..=14);
                let whole = async { if random.random() { self.work(tenant, own).await } else { self.oversee().await } };
                if let Some(completed) = abandon_at(awaits, whole).await {
                    completed?;
                    self.completed_in_spite.fetch_add(1, Ordering::Relaxed);
                }
            }
            Deed::Fails => self.fail(tenant, own).await?,
            Deed::IsTerminated => self.lose_backend(tenant, own).await?,
            Deed::SeesAll => self.oversee().await?,
            Deed::HasNoScope => {
                let mut tx = self.pool.begin().await?;
                let seen = list(&mut tx).await?.len();
                self.foreign.fetch_add(seen, Ordering::Relaxed);
            }
        }
        Ok(deed)
    }

    /// Checks that only own rows are visible, and adds one.
    async fn work(&self, tenant: TenantId, own: Uuid) -> Result<(), sqlx::Error> {
        let mut tx = self.db.tenant(tenant).await?;
        self.look(&mut tx, tenant, own).await?;
        write(&mut tx, tenant, Uuid::now_v7(), "kept").await?;
        self.look(&mut tx, tenant, own).await?;
        tx.commit().await
    }

    async fn look(&self, tx: &mut PgConnection, tenant: TenantId, own: Uuid) -> Result<(), sqlx::Error> {
        let rows = list(tx).await?;
        let foreign = rows.iter().filter(|(of, _)| *of != tenant.0).count();
        self.foreign.fetch_add(foreign, Ordering::Relaxed);
        if !rows.iter().any(|(_, id)| *id == own) {
            self.missing.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn oversee(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.db.system().await?;
        let rows = list(&mut tx).await?;
        let missing = self.tenants.iter().filter(|(_, own)| !rows.iter().any(|(_, id)| id == own)).count();
        self.missing.fetch_add(missing, Ordering::Relaxed);
        tx.commit().await
    }

    async fn fail(&self, tenant: TenantId, own: Uuid) -> Result<(), sqlx::Error> {
        let mut tx = self.db.tenant(tenant).await?;
        self.look(&mut tx, tenant, own).await?;
        write(&mut tx, tenant, Uuid::now_v7(), "dropped").await?;
        let failed = sqlx::query("select 1 / (random() * 0)::int").execute(&mut *tx).await;
        let failed = failed.expect_err("a division by zero");
        assert!(failed.as_database_error().is_some(), "the database returns the error: {failed}");
        list(&mut tx).await.expect_err("a failed transaction rejects queries");
        Ok(())
    }

    async fn lose_backend(&self, tenant: TenantId, own: Uuid) -> Result<(), sqlx::Error> {
        let mut tx = self.db.tenant(tenant).await?;
        self.look(&mut tx, tenant, own).await?;
        write(&mut tx, tenant, Uuid::now_v7(), "dropped").await?;
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await?;
        let was_there: bool =
            sqlx::query_scalar("select pg_terminate_backend($1)").bind(backend).fetch_one(&self.direct).await?;
        assert!(was_there, "the backend existed and was terminated");
        list(&mut tx).await.expect_err("a query fails without a backend");
        Ok(())
    }

    /// Counts the rows of transactions that failed or never committed.
    async fn count_dropped(&self) -> i64 {
        let mut tx = self.db.system().await.unwrap();
        let count = "select count(*) from asset_folders where name like 'dropped%'";
        sqlx::query_scalar(count).fetch_one(&mut *tx).await.unwrap()
    }
}

/// Lists all visible rows of some tables with their tenants. The query does not filter by tenant,
/// because the policies must.
async fn list(connection: &mut PgConnection) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let sql = "
        select tenant_id, id from asset_folders
        union all
        select tenant_id, id from job_ledger
        union all
        select id, id from tenants
        ";
    sqlx::query_as(sql).fetch_all(connection).await
}

async fn write(connection: &mut PgConnection, tenant: TenantId, id: Uuid, what: &str) -> Result<(), sqlx::Error> {
    sqlx::query("insert into asset_folders (id, tenant_id, name) values ($1, $2, $3)")
        .bind(id)
        .bind(tenant.0)
        .bind(format!("{what} {id}"))
        .execute(connection)
        .await
        .map(|_| ())
}

/// Drops a future when it is pending for the `awaits`th time, and returns none then.
async fn abandon_at<T>(awaits: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = awaits;
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_of_others_is_seen_whatever_becomes_of_transactions(pool: PgPool) {
    let options = pool.connect_options().as_ref().clone();
    let shared = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    soak(shared.connect_with(options).await.unwrap(), pool, TRANSACTIONS).await;
}
