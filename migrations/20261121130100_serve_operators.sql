-- What lists and decisions of staff need.

-- Says which of the two tables a row is from, so that a list of finished or unfinished jobs reads one of them only.
create or replace view job_ledger with (security_invoker = true) as
select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison, worker_id,
  parent_id, pending, failed_children, suspended_on, cancel_requested_at, result, error, created_at, started_at, ended_at,
  false as is_finished
from jobs
union all
select id, tenant_id, kind, queue, args, state, priority, account_id, run_at, attempt, failures, crashes, poison, worker_id,
  parent_id, 0, failed_children, null, cancel_requested_at, result, error, created_at, started_at, ended_at,
  true
from job_history;

alter table effects add column lag_seconds double precision;
comment on column effects.lag_seconds is
  'How long after send_until the provider may take to show it; past that, people may decide what became of it.';
