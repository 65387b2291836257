//! A full ledger: jobs of a thousand tenants in every state, with their words, figures and failures.

use jobs::engine::{Tx, ledger};
use sqlx::{AssertSqlSafe, Row as _};
use tests::TestApp;
use uuid::Uuid;

/// The jobs that one statement writes.
const STEP: i64 = 20_000;

/// Some of the rows, to ask pages for.
pub(super) struct Filled {
    pub(super) tenant: Uuid,
    pub(super) account: Uuid,
    /// A job that failed.
    pub(super) failed: Uuid,
    /// The delivery in the payload of a finished job.
    pub(super) delivery: String,
}

/// The columns that finished and unfinished jobs share, for the job of a number. Its id is made of
/// its time, like those of the engine, so that rows are in order. One in eight jobs is unfinished.
const JOBS: &str = "
    with kinds as (
      select array['publish_post', 'publish_post', 'write_caption', 'render_overlay', 'refresh_token', 'send_mail'] as kinds,
        array['posting', 'posting', 'ai', 'media', 'oauth', 'default'] as queues
    ),
    made as (
      select number, number % 6 + 1 as sort, number % 200 as share,
        (lpad(to_hex((extract(epoch from created_at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(number % 4096), 3, '0')
          || '8' || substr(md5(number::text), 1, 15))::uuid as id,
        ($3::uuid[])[1 + number % cardinality($3)] as tenant_id,
        md5('account' || number % 3000)::uuid as account_id,
        jsonb_build_object('delivery_id', md5('delivery' || number)::uuid) as args, created_at
      from (
        select number, engine_now() - ($4 - number) * interval '30 days' / $4 as created_at
        from generate_series($1::bigint, $2::bigint) as number
      ) numbers
    )";

const FINISHED: &str = "
    insert into job_history (id, tenant_id, kind, queue, args, state, priority, account_id, run_at, due_at, attempt, failures,
      crashes, poison, depth, failed_children, counted, error, created_at, started_at, ended_at)
    select id, tenant_id, kinds[sort], queues[sort], args,
      case when share < 4 then 'discarded' when share < 7 then 'cancelled' else 'completed' end, 2,
      case when sort < 3 then account_id end, created_at, created_at, 1, case when share < 4 then 3 else 0 end, 0, 0, 0, 0, true,
      case when share < 4 then jsonb_build_object('class', 'denied', 'message', 'Facebook refused the picture of the '
        || (array['oven', 'pizza', 'terrace'])[1 + number % 3]) end,
      created_at, created_at + interval '2 s', created_at + interval '5 s'
    from made
    cross join kinds
    where number % 8 <> 0";

const UNFINISHED: &str = "
    insert into jobs (id, tenant_id, kind, queue, args, state, account_id, run_at, due_at, created_at, suspended_on, failures, error)
    select id, tenant_id, kinds[sort], queues[sort], args, state, case when sort < 3 then account_id end,
      case when state <> 'suspended' then engine_now() + number % 10000 * interval '4 min' end, created_at, created_at,
      case when state = 'suspended' then (array['person', 'unknown_effect', 'account:' || account_id])[1 + number % 3] end,
      case when state = 'retryable' then 2 else 0 end,
      case when state = 'retryable' then jsonb_build_object('class', 'rate', 'message', 'The provider asks for a pause') end
    from made
    cross join kinds
    cross join lateral (
      select case when share < 160 then 'scheduled' when share < 184 then 'available' when share < 192 then 'retryable'
        else 'suspended' end as state
    ) states
    where number % 8 = 0";

const FIGURES: &str = "
    insert into job_figures (resolution, starts_at, queue, kind, completed, failures, discarded, waits)
    select resolution, starts_at, queue, kind, 40, number % 4, number % 2,
      (select jsonb_object_agg(step, 1 + (step + number) % 7) from generate_series(4, 40, 2) as step)
    from (
      values ('minute', interval '1 minute', interval '7 days'), ('hour', interval '1 hour', interval '30 days')
    ) as kept (resolution, length, age)
    cross join lateral (
      select starts_at, row_number() over () as number
      from generate_series(date_trunc(resolution, engine_now() - age), engine_now(), length) as starts_at
    ) times
    cross join (
      values ('posting', 'publish_post'), ('ai', 'write_caption'), ('media', 'render_overlay'), ('oauth', 'refresh_token'),
        ('default', 'send_mail'), ('default', 'count_figures')
    ) as kinds (queue, kind)
    on conflict do nothing";

/// Fills the ledger with `jobs` jobs, in steps.
pub(super) async fn fill(app: &TestApp, jobs: i64) -> Filled {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let sql = "insert into tenants (id, name, plan)
        select gen_random_uuid(), 'Restaurant ' || number, 'basic' from generate_series(1, 1000) as number returning id";
    let tenants: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&mut *tx).await.unwrap();
    sqlx::query(FIGURES).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    for first in (1..=jobs).step_by(usize::try_from(STEP).unwrap()) {
        let mut tx = app.bench.engine.db.system().await.unwrap();
        for sql in [FINISHED, UNFINISHED] {
            let sql = AssertSqlSafe([JOBS, sql].concat());
            let query = sqlx::query(sql).bind(first).bind(jobs.min(first + STEP - 1)).bind(&tenants).bind(jobs);
            query.execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let mut after = None;
    loop {
        let mut tx = app.bench.engine.db.system().await.unwrap();
        let (_, last) = ledger::index_words(&mut tx, after, 1_000).await.unwrap();
        tx.commit().await.unwrap();
        if last.is_none() {
            break;
        }
        after = last;
    }
    let mut tx = app.bench.engine.db.system().await.unwrap();
    asked_for(&mut tx).await
}

/// Finds a failed job in the middle, with what it names.
async fn asked_for(tx: &mut Tx) -> Filled {
    let sql = "select id, tenant_id, account_id, args ->> 'delivery_id' from job_history
        where state = 'discarded' and account_id is not null order by created_at desc, id desc offset 20 limit 1";
    let row = sqlx::query(sql).fetch_one(&mut **tx).await.unwrap();
    Filled { failed: row.get(0), tenant: row.get(1), account: row.get(2), delivery: row.get(3) }
}
