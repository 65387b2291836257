//! The search box: finds jobs, posts, pictures and connected accounts by an id or by words.

pub mod store;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    engine::{
        Tx,
        ledger::{self, JobFilter},
    },
    ids::TenantId,
    kinds::KINDS,
};

/// The most hits of each type.
const MAX_HITS: i64 = 10;

/// The type of an object that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitType {
    /// A job.
    Job,
    /// A post.
    Post,
    /// A picture.
    Picture,
    /// A connected account.
    Account,
}

/// An object that is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its type.
    pub hit_type: HitType,
    /// Its id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant_id: TenantId,
    /// The kind of a job, the beginning of a post, the name of a picture or an account.
    pub title: String,
    /// The state of a job or an account.
    pub state: Option<String>,
    /// The time at which it was made.
    pub created_at: DateTime<Utc>,
}

/// The types of objects to look for.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is allowed by a permission of its own")]
pub struct Wanted {
    /// Jobs.
    pub jobs: bool,
    /// Posts.
    pub posts: bool,
    /// Pictures.
    pub pictures: bool,
    /// Connected accounts.
    pub accounts: bool,
}

/// Finds the newest objects by an id or by words: of one tenant, or of all that the transaction
/// sees. Over all tenants, words find jobs only.
pub async fn search(
    tx: &mut Tx,
    tenant_id: Option<TenantId>,
    text: &str,
    wanted: Wanted,
) -> Result<Vec<Hit>, sqlx::Error> {
    let text = text.trim();
    let mut hits = Vec::new();
    if wanted.jobs {
        let filter = JobFilter { tenant_id, text: Some(text.to_owned()), ..JobFilter::default() };
        let listed = ledger::list_jobs(tx, KINDS, &filter, MAX_HITS).await?;
        hits.extend(listed.jobs.into_iter().map(|job| Hit {
            hit_type: HitType::Job,
            id: job.id.0,
            tenant_id: job.tenant_id,
            title: job.kind,
            state: Some(job.state.name().to_owned()),
            created_at: job.created_at,
        }));
    }
    let query = store::Query { tenant_id, id: text.parse().ok(), text: text.to_lowercase(), limit: MAX_HITS };
    if wanted.posts {
        hits.append(&mut store::find_posts(tx, &query).await?);
    }
    if wanted.pictures {
        hits.append(&mut store::find_pictures(tx, &query).await?);
    }
    if wanted.accounts {
        hits.append(&mut store::find_accounts(tx, &query).await?);
    }
    Ok(hits)
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{noop::Noop, posts, testing::Bench};

    const ALL: Wanted = Wanted { jobs: true, posts: true, pictures: true, accounts: true };

    async fn found(tx: &mut Tx, tenant_id: Option<TenantId>, text: &str) -> Vec<(HitType, Uuid)> {
        let hits = search(tx, tenant_id, text, ALL).await.unwrap();
        hits.into_iter().map(|hit| (hit.hit_type, hit.id)).collect()
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn each_type_is_found_by_id_and_by_words(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let (account, picture) = (bench.connect_page().await.0, bench.picture().await.0);
        let job = bench.enqueue(&Noop::default()).await.0;
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let post = posts::store::insert_post(&mut tx, bench.tenant_id, "Two for one on Tuesday", None).await.unwrap().0;
        tx.commit().await.unwrap();
        let mut tx = bench.engine.db.system().await.unwrap();
        for hit in [(HitType::Job, job), (HitType::Post, post), (HitType::Picture, picture)] {
            assert_eq!(found(&mut tx, None, &format!(" {} ", hit.1)).await, [hit]);
        }
        let subscription: Uuid = sqlx::query_scalar("select id from job_history where kind = 'subscribe_account'")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let of_account = [(HitType::Job, subscription), (HitType::Account, account)];
        assert_eq!(found(&mut tx, None, &format!(" {account} ")).await, of_account, "and the job about it");
        let own = Some(bench.tenant_id);
        assert_eq!(found(&mut tx, own, "FOR one").await, [(HitType::Post, post)]);
        assert_eq!(found(&mut tx, own, "noop").await, [(HitType::Job, job)]);
        assert!(found(&mut tx, None, "for one").await.is_empty(), "over all tenants words find jobs");
        assert!(found(&mut tx, own, "%").await.is_empty());
        drop(tx);
        let other = TenantId::new();
        bench.insert_tenant(other, "Hults Cafe").await;
        let mut tx = bench.engine.db.tenant(other).await.unwrap();
        for text in [post.to_string(), picture.to_string(), account.to_string(), job.to_string(), "one".to_owned()] {
            assert!(found(&mut tx, Some(other), &text).await.is_empty(), "{text}");
        }
    }
}
