-- A job may name the lane in which it takes turns, such as the endpoint that it calls: a slow one then holds up itself only. The
-- column is made anew, as its expression cannot be changed before PostgreSQL 17; the table holds unfinished jobs only.

alter table jobs drop column lane;
alter table jobs
  add column own_lane uuid,
  add column lane uuid not null generated always as (coalesce(account_id, own_lane, tenant_id)) stored;
comment on column jobs.own_lane is 'The lane that the job named, if it acts on no account.';
comment on column jobs.lane is 'What takes turns: the account, else the lane that the job named, else the tenant.';
create index jobs_to_release on jobs (queue, priority, tenant_id, lane, run_at, id)
  where state = 'available' and dispatched_at is null;
alter table job_history add column own_lane uuid;
comment on column job_history.own_lane is 'As in jobs.';
comment on column resting_lanes.lane is 'As jobs.lane.';
