-- What runs by the clock: the list in code (jobs/src/kinds.rs), mirrored by the leader.

create table periodic (
  name text primary key,
  kind text not null,
  cron text not null,
  last_tick timestamptz not null default engine_stamp(),
  paused_at timestamptz,
  created_at timestamptz not null default engine_stamp()
);
comment on table periodic is 'Periodic work. The leader mirrors the list in code into it and takes its ticks.';
comment on column periodic.name is 'Also the unique key of its jobs, so that they never overlap.';
comment on column periodic.cron is 'Five fields, UTC.';
comment on column periodic.last_tick is 'The last tick that became a job; at first when it was added. A tick is taken by raising it.';
