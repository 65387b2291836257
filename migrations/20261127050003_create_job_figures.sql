-- Figures of the past: how much ended, how much failed, how long work waited.

create table job_figures (
  resolution text not null check (resolution in ('minute', 'hour')),
  starts_at timestamptz not null,
  queue text not null,
  kind text not null,
  completed bigint not null default 0,
  cancelled bigint not null default 0,
  discarded bigint not null default 0,
  failures bigint not null default 0,
  waits jsonb not null default '{}',
  primary key (resolution, starts_at, queue, kind)
);
comment on table job_figures is
  'What ended in a minute or an hour, of all tenants. Counted from job_history afterwards, so that no job pays for it.';
comment on column job_figures.failures is 'Attempts that failed, or whose process died.';
comment on column job_figures.waits is
  'How many waited how long from due to start: {"step": count}. Step n ends at 2^(n/4) ms; step 0 at 1 ms.';
call isolate_to_system('job_figures');

-- Rows are appended as attempts end, so a block range index finds a minute, at next to no cost.
create index job_attempts_by_end on job_attempts using brin (ended_at) with (pages_per_range = 32, autosummarize = on);
