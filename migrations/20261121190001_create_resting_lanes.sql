-- A lane whose rate is used up rests: what waits in it costs nothing meanwhile.
create table resting_lanes (
  queue text not null,
  tenant_id uuid not null references tenants (id),
  lane uuid not null,
  until timestamptz not null,
  primary key (queue, tenant_id, lane)
);
comment on table resting_lanes is
  'Lanes of a queue that have used up their starts a minute (queues.max_per_minute). Rows whose time is over mean nothing and are deleted.';
comment on column resting_lanes.lane is 'As jobs.lane: an account, else the tenant.';
comment on column resting_lanes.until is 'Nothing of the lane is released or claimed before.';
create index resting_lanes_by_end on resting_lanes (until);
call isolate_by_tenant('resting_lanes');
