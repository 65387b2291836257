//! The statement that inserts jobs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::NewJob;
use crate::{
    Tx,
    ids::{JobId, TenantId},
};

/// A row that the statement returns.
pub(super) struct Inserted {
    pub(super) id: JobId,
    pub(super) is_new: bool,
    pub(super) is_due: bool,
    /// Null for a new row, as are kind and key: only needed to find the place of an existing job.
    tenant_id: Option<TenantId>,
    kind: Option<String>,
    unique_key: Option<String>,
}

/// Inserts jobs or finds the unfinished ones with their keys, and returns them in their order.
pub(super) async fn insert(tx: &mut Tx, jobs: &[NewJob]) -> Result<Vec<Inserted>, sqlx::Error> {
    let ids: Vec<Uuid> = jobs.iter().map(|_| Uuid::now_v7()).collect();
    let mut rows: Vec<(Uuid, &NewJob)> = ids.iter().copied().zip(jobs).collect();
    // The order of keys is the same in all transactions, so that two of them cannot deadlock.
    rows.sort_by(|(_, a), (_, b)| (a.kind, &a.unique_key).cmp(&(b.kind, &b.unique_key)));
    let mut inserted = insert_rows(tx, &rows).await?;
    // The database returns rows in any order. New ids rise in the order in which they were made.
    if inserted.iter().all(|row| row.is_new) {
        inserted.sort_by_key(|row| row.id);
    } else {
        let places = Places::of(&ids, jobs);
        inserted.sort_by_cached_key(|row| places.of_row(row));
    }
    Ok(inserted)
}

/// The places of the jobs in the input, by id and by key.
struct Places<'a> {
    new: HashMap<Uuid, usize>,
    keyed: HashMap<(TenantId, &'a str, &'a str), usize>,
}

impl<'a> Places<'a> {
    fn of(ids: &[Uuid], jobs: &'a [NewJob]) -> Self {
        let keyed = jobs.iter().enumerate().filter_map(|(place, job)| {
            let key = job.unique_key.as_deref()?;
            Some(((job.tenant_id, job.kind, key), place))
        });
        Self { new: ids.iter().enumerate().map(|(place, id)| (*id, place)).collect(), keyed: keyed.collect() }
    }

    fn of_row(&self, row: &Inserted) -> Option<usize> {
        let by_key = || self.keyed.get(&(row.tenant_id?, row.kind.as_deref()?, row.unique_key.as_deref()?));
        self.new.get(&row.id.0).or_else(by_key).copied()
    }
}

async fn insert_rows(tx: &mut Tx, rows: &[(Uuid, &NewJob)]) -> Result<Vec<Inserted>, sqlx::Error> {
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
    let tenants: Vec<Uuid> = rows.iter().map(|(_, job)| job.tenant_id.0).collect();
    let kinds: Vec<String> = rows.iter().map(|(_, job)| job.kind.to_owned()).collect();
    let queues: Vec<String> = rows.iter().map(|(_, job)| job.queue.to_owned()).collect();
    let args: Vec<Value> = rows.iter().map(|(_, job)| job.args.clone()).collect();
    let keys: Vec<Option<String>> = rows.iter().map(|(_, job)| job.unique_key.clone()).collect();
    let times: Vec<Option<DateTime<Utc>>> = rows.iter().map(|(_, job)| job.run_at).collect();
    let parents: Vec<Option<Uuid>> = rows.iter().map(|(_, job)| job.parent.map(|(id, _)| id.0)).collect();
    let depths: Vec<i16> = rows.iter().map(|(_, job)| job.parent.map_or(0, |(_, depth)| depth)).collect();
    let priorities: Vec<i16> = rows.iter().map(|(_, job)| job.priority.number()).collect();
    let lanes: Vec<Option<Uuid>> = rows.iter().map(|(_, job)| job.lane).collect();
    let accounts: Vec<Option<Uuid>> = rows.iter().map(|(_, job)| job.account_id.map(|id| id.0)).collect();
    sqlx::query_as!(
        Inserted,
        r#"
        insert into jobs as existing
          (id, tenant_id, kind, queue, args, unique_key, run_at, due_at, parent_id, depth, priority, account_id, own_lane, state)
        select id, tenant_id, kind, queue, args, unique_key, coalesce(at, clock.now), greatest(at, clock.now), parent_id,
          depth, priority, account_id, own_lane, case when at > clock.now then 'scheduled' else 'available' end
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::timestamptz[],
            $8::uuid[], $9::smallint[], $10::smallint[], $11::uuid[], $12::uuid[])
          as new (id, tenant_id, kind, queue, args, unique_key, at, parent_id, depth, priority, account_id, own_lane),
          (select engine_now() as now) clock
        on conflict (tenant_id, kind, unique_key) where unique_key is not null
        do update set
          run_at = least(existing.run_at, excluded.run_at),
          priority = least(existing.priority, excluded.priority),
          due_at = least(existing.due_at, excluded.due_at),
          state = case
            when existing.state in ('scheduled', 'retryable') and excluded.state = 'available' then 'available'
            else existing.state
          end,
          rerun_requested = existing.state = 'executing',
          cancel_requested_at = case when existing.state = 'executing' then existing.cancel_requested_at end
        where existing.state <> 'suspended'
        returning id as "id: JobId", xmax = 0 as "is_new!", state = 'available' as "is_due!",
          case when xmax <> 0 then tenant_id end as "tenant_id: TenantId",
          case when xmax <> 0 then kind end as kind,
          case when xmax <> 0 then unique_key end as unique_key
        "#,
        &ids,
        &tenants,
        &kinds,
        &queues,
        &args,
        &keys as &[Option<String>],
        &times as &[Option<DateTime<Utc>>],
        &parents as &[Option<Uuid>],
        &depths,
        &priorities,
        &accounts as &[Option<Uuid>],
        &lanes as &[Option<Uuid>]
    )
    .fetch_all(&mut **tx)
    .await
}
