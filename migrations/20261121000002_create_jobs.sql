-- The job ledger: the truth about every unit of work.

create table jobs (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  kind text not null,
  queue text not null,
  args jsonb not null,
  state text not null check (state in
    ('scheduled', 'available', 'executing', 'retryable', 'suspended', 'completed', 'cancelled', 'discarded')),
  run_at timestamptz,
  due_at timestamptz not null,
  attempt integer not null default 0,
  failures integer not null default 0,
  crashes integer not null default 0,
  dispatched_at timestamptz,
  worker_id uuid,
  unique_key text,
  rerun_requested boolean not null default false,
  parent_id uuid,
  depth smallint not null default 0,
  pending integer not null default 0 check (pending >= 0),
  counted boolean not null default false,
  suspended_on text,
  cancel_requested_at timestamptz,
  result jsonb,
  error jsonb,
  created_at timestamptz not null default engine_stamp(),
  started_at timestamptz,
  ended_at timestamptz,
  check ((state = 'suspended') = (suspended_on is not null)),
  check ((state = 'executing') = (worker_id is not null)),
  check ((state in ('completed', 'cancelled', 'discarded')) = (ended_at is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
comment on table jobs is 'One row a unit of work. Written only by the engine (jobs/src/engine).';
comment on column jobs.args is 'The payload: ids and small plain values, never a secret.';
comment on column jobs.run_at is 'When it becomes available; null while suspended until something other than time ends that.';
comment on column jobs.due_at is 'When it was first due: bounds how long it may be put off.';
comment on column jobs.attempt is 'Rises at every claim and never falls: the fence for everything an attempt writes.';
comment on column jobs.failures is 'Failed attempts, which the retry policy compares.';
comment on column jobs.crashes is 'Attempts whose process died; costs no failure.';
comment on column jobs.dispatched_at is 'Set while the id of an available job is in Redis'' window.';
comment on column jobs.worker_id is 'The process that executes it; orphaned when that has no live row in workers.';
comment on column jobs.rerun_requested is 'Asked for again while executing: becomes available instead of completed.';
comment on column jobs.depth is 'Parents above it; several rows are locked by (depth descending, id).';
comment on column jobs.pending is 'Children that have not ended.';
comment on column jobs.counted is 'Its parent has counted its end: once in its life, also when it is retried afterwards.';
comment on column jobs.suspended_on is 'What it waits for: children, reconcile, unknown_effect, account:<id>.';
comment on column jobs.error is 'The last failure: {class, message, causes}.';

create unique index jobs_unique_key on jobs (tenant_id, kind, unique_key)
  where unique_key is not null and state not in ('completed', 'cancelled', 'discarded');
create index jobs_to_promote on jobs (run_at) where state in ('scheduled', 'retryable', 'suspended') and run_at is not null;
create index jobs_to_release on jobs (queue, tenant_id, run_at, id) where state = 'available' and dispatched_at is null;
create index jobs_dispatched on jobs (queue, dispatched_at) where state = 'available' and dispatched_at is not null;
create index jobs_executing on jobs (worker_id) where state = 'executing';
create index jobs_suspended on jobs (tenant_id, suspended_on) where state = 'suspended';
create index jobs_children on jobs (tenant_id, parent_id) where parent_id is not null;
create index jobs_by_tenant on jobs (tenant_id, created_at desc, id desc);
create index jobs_by_creation on jobs (created_at desc, id desc);
-- For lists by state. Not of `available` and `scheduled`: their statistics are stale most of the time, and the planner would
-- take this index in the place of the two above.
create index jobs_by_state on jobs (state, created_at desc, id desc)
  where state in ('executing', 'retryable', 'suspended', 'cancelled', 'discarded');
call isolate_by_tenant('jobs');

create table job_attempts (
  tenant_id uuid not null references tenants (id),
  job_id uuid not null,
  attempt integer not null,
  outcome text not null check (outcome in ('retry', 'later', 'park', 'fail', 'reconcile', 'lost', 'returned')),
  error jsonb,
  worker_id uuid,
  started_at timestamptz,
  ended_at timestamptz not null default engine_stamp(),
  primary key (tenant_id, job_id, attempt)
);
comment on table job_attempts is 'Attempts that did not complete their job; the last one of a completed job is on its row.';
comment on column job_attempts.outcome is 'What became of it: lost = the process died, returned = handed back by a stopping process.';
call isolate_by_tenant('job_attempts');

create table effects (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  job_id uuid not null,
  account_id uuid,
  key text not null,
  operation text not null,
  state text not null check (state in ('intended', 'sent', 'confirmed', 'unknown', 'failed')),
  attempt integer not null,
  request_digest text not null,
  sent_at timestamptz,
  send_until timestamptz,
  remote_id text,
  facts jsonb not null default '[]',
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, key),
  check (state <> 'sent' or (sent_at is not null and send_until is not null)),
  check (state <> 'confirmed' or remote_id is not null)
);
comment on table effects is 'Calls that the outside world sees, so that each happens at most once. No foreign key: they outlive their jobs.';
comment on column effects.key is 'What must not happen twice, such as delivery:<id>.';
comment on column effects.attempt is 'The attempt of the job that last changed it.';
comment on column effects.send_until is 'Unshifted database time after which no byte of the call can leave any more.';
comment on column effects.facts is 'What was learned on the way, oldest first: refusals, reads, proofs.';
create unique index effects_remote_id on effects (tenant_id, account_id, remote_id) where remote_id is not null;
create index effects_by_job on effects (tenant_id, job_id);
create index effects_open on effects (tenant_id, job_id) where state in ('sent', 'unknown');
call isolate_by_tenant('effects');

create table workers (
  id uuid primary key,
  name text not null,
  queues jsonb not null,
  kinds text[] not null,
  started_at timestamptz not null default clock_timestamp(),
  renewed_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
comment on table workers is 'One row a live worker process, renewed every third of its lease. Unshifted clock.';
comment on column workers.queues is 'Slots by queue: {"posting": 20}.';

create table leadership (
  name text primary key,
  holder uuid not null,
  epoch bigint not null,
  expires_at timestamptz not null
);
comment on table leadership is 'Who dispatches; only an optimisation, every action of a leader is a compare-and-set. Unshifted clock.';
