-- What jobs say while they run.

create table job_events (
  tenant_id uuid not null,
  job_id uuid not null,
  seq integer not null,
  attempt integer not null,
  level text not null check (level in ('progress', 'info', 'warning', 'error')),
  message text not null,
  done bigint,
  total bigint,
  created_at timestamptz not null default engine_stamp(),
  primary key (tenant_id, job_id, seq),
  check ((level = 'progress') = (done is not null and total is not null))
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
comment on table job_events is 'Progress and log of jobs. No foreign keys: they would cost every row, and a job moves to its history.';
comment on column job_events.seq is
  'From 1 by job, assigned under the lock of the job''s row: whoever has seen one has seen all before it.';
comment on column job_events.attempt is 'The attempt that wrote it; an overtaken one writes none.';
comment on column job_events.level is 'progress: with done and total; else a line of the log.';
call isolate_by_tenant('job_events');
