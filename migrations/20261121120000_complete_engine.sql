-- Priorities, lanes, limits, poison, and a history that keeps the ledger of unfinished jobs small.

-- The same policy, with the settings read once a statement instead of once a row.
create or replace procedure isolate_by_tenant(tenant_table regclass, tenant_column name default 'tenant_id')
language plpgsql as $$
declare
  visible text := format(
    '(select current_setting(''app.scope'', true)) = ''system'' or '
    '%I = (select nullif(current_setting(''app.tenant'', true), '''')::uuid)',
    tenant_column);
begin
  execute format('alter table %s enable row level security', tenant_table);
  execute format('alter table %s force row level security', tenant_table);
  execute format('drop policy if exists tenant_isolation on %s', tenant_table);
  execute format('create policy tenant_isolation on %s using (%s) with check (%s)', tenant_table, visible, visible);
end
$$;
do $$
declare
  isolated regclass;
begin
  for isolated in select polrelid from pg_policy where polname = 'tenant_isolation' loop
    call isolate_by_tenant(isolated, case isolated when 'tenants'::regclass then 'id' else 'tenant_id' end::name);
  end loop;
end
$$;

alter table jobs
  add column priority smallint not null default 2 check (priority between 1 and 3),
  add column account_id uuid,
  add column lane uuid not null generated always as (coalesce(account_id, tenant_id)) stored,
  add column poison smallint not null default 0,
  add column failed_children integer not null default 0,
  add column fails_with_children boolean not null default false;
comment on table jobs is 'One row an unfinished job; finished ones are in job_history. Written only by the engine (jobs/src/engine).';
comment on column jobs.priority is '1 = before others, 2 = normal, 3 = when nothing else waits; every tenth slot goes to the lowest.';
comment on column jobs.account_id is 'The account on which it acts: has a turn of its own in its tenant, a limit, and can be parked.';
comment on column jobs.lane is 'What takes turns: the account, else the tenant.';
comment on column jobs.poison is 'Deaths of the child process in which it ran alone; three discard it.';
comment on column jobs.failed_children is 'Children that ended without completing.';
comment on column jobs.fails_with_children is 'Whether it fails, once its children ended, if one of them did not complete.';
comment on column jobs.dispatched_at is
  'Set while it is released and the window is not trusted with it: its queue has limits, or Redis lost it or is away.';
comment on column jobs.suspended_on is
  'What it waits for: children, reconcile, unknown_effect, account:<id>, kind:<name> (no live worker runs it).';

-- Finished jobs leave in the statement that finishes them, so that the cost of a job does not grow with their number.
create table job_history (
  id uuid primary key,
  tenant_id uuid not null,
  kind text not null,
  queue text not null,
  args jsonb not null,
  state text not null check (state in ('completed', 'cancelled', 'discarded')),
  priority smallint not null,
  account_id uuid,
  run_at timestamptz,
  due_at timestamptz not null,
  attempt integer not null,
  failures integer not null,
  crashes integer not null,
  poison smallint not null,
  worker_id uuid,
  unique_key text,
  parent_id uuid,
  depth smallint not null,
  failed_children integer not null,
  counted boolean not null,
  cancel_requested_at timestamptz,
  result jsonb,
  error jsonb,
  created_at timestamptz not null,
  started_at timestamptz,
  ended_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
comment on table job_history is 'Finished jobs, until they are pruned. One that is retried goes back to jobs with its counters.';
comment on column job_history.tenant_id is 'No foreign key: the row was in jobs, and checking it again would cost every job.';
comment on column job_history.worker_id is 'The process that ran the last attempt.';
create index job_history_by_tenant on job_history (tenant_id, created_at desc, id desc);
create index job_history_by_creation on job_history (created_at desc, id desc);
create index job_history_failed on job_history (state, created_at desc, id desc) where state in ('cancelled', 'discarded');
create index job_history_children on job_history (tenant_id, parent_id) where parent_id is not null;
-- Rows are appended as they end, so a block range index finds the oldest, at next to no cost.
create index job_history_by_end on job_history using brin (ended_at) with (pages_per_range = 32, autosummarize = on);
call isolate_by_tenant('job_history');

with ended as (delete from jobs where ended_at is not null returning *)
insert into job_history (id, tenant_id, kind, queue, args, state, priority, account_id, run_at, due_at, attempt, failures,
  crashes, poison, worker_id, unique_key, parent_id, depth, failed_children, counted, cancel_requested_at, result, error,
  created_at, started_at, ended_at)
select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, due_at, attempt, failures,
  crashes, poison, worker_id, unique_key, parent_id, depth, failed_children, counted, cancel_requested_at, result, error,
  created_at, started_at, ended_at
from ended;

-- What runs stands apart: it is in none of the indexes for lists, so that a claim has nothing to write there.
create view job_ledger with (security_invoker = true) as
select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison, worker_id,
  parent_id, pending, failed_children, suspended_on, cancel_requested_at, result, error, created_at, started_at, ended_at
from jobs
where state <> 'executing'
union all
select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison, worker_id,
  parent_id, pending, failed_children, suspended_on, cancel_requested_at, result, error, created_at, started_at, ended_at
from jobs
where state = 'executing'
union all
select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison, worker_id,
  parent_id, 0, failed_children, null, cancel_requested_at, result, error, created_at, started_at, ended_at
from job_history;
comment on view job_ledger is 'Every job, finished or not.';

drop index jobs_to_release, jobs_dispatched, jobs_suspended, jobs_by_state, jobs_unique_key, jobs_by_tenant, jobs_by_creation;
create index jobs_by_tenant on jobs (tenant_id, created_at desc, id desc) where state <> 'executing';
create index jobs_by_creation on jobs (created_at desc, id desc) where state <> 'executing';
create unique index jobs_unique_key on jobs (tenant_id, kind, unique_key) where unique_key is not null;
create index jobs_to_release on jobs (queue, priority, tenant_id, lane, run_at, id)
  where state = 'available' and dispatched_at is null;
create index jobs_dispatched on jobs (queue, dispatched_at) where state = 'available' and dispatched_at is not null;
create index jobs_suspended on jobs (suspended_on, tenant_id) where state = 'suspended';
-- For lists by state. Not of `available`, `scheduled` and `executing`: their statistics are stale most of the time, and the
-- planner would take this index in the place of those made for them.
create index jobs_by_state on jobs (state, created_at desc, id desc) where state in ('retryable', 'suspended');

create table queues (
  name text primary key,
  paused_at timestamptz,
  max_running integer check (max_running > 0),
  max_per_tenant integer check (max_per_tenant > 0),
  max_per_account integer check (max_per_account > 0),
  max_per_minute integer check (max_per_minute > 0),
  updated_at timestamptz not null default engine_stamp()
);
comment on table queues is 'What operators say about a queue. A limit counts jobs that run or are about to; null: none.';
comment on column queues.max_per_minute is 'Starts a minute on one account, or of one tenant without an account.';
insert into queues (name) values ('posting'), ('oauth'), ('ai'), ('media'), ('default');

create table parked_accounts (
  tenant_id uuid not null references tenants (id),
  account_id uuid not null,
  until timestamptz not null,
  reason jsonb not null,
  parked_at timestamptz not null default engine_stamp(),
  primary key (tenant_id, account_id)
);
comment on table parked_accounts is 'Accounts whose jobs wait: a provider limits them, or their user has to connect them again.';
comment on column parked_accounts.until is 'When its jobs try again by themselves, if nobody ends it before.';
comment on column parked_accounts.reason is 'Why: {class, message, causes}.';
call isolate_by_tenant('parked_accounts');
