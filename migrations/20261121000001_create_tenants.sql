-- Tenants, isolation between them, and the database's clock.

-- What "now" is for comparisons. Not inlinable on purpose: an inlined coalesce over a setting counts as leaky and
-- keeps indexes from being used under row-level security. Tests shift time by `app.clock_shift`.
create function engine_now() returns timestamptz
language plpgsql stable parallel safe as $$
begin
  return statement_timestamp() + coalesce(nullif(current_setting('app.clock_shift', true), ''), '0')::interval;
end
$$;
comment on function engine_now() is 'The time to compare with; stable, so that indexes serve the comparison.';

create function engine_stamp() returns timestamptz
language plpgsql volatile parallel safe as $$
begin
  return clock_timestamp() + coalesce(nullif(current_setting('app.clock_shift', true), ''), '0')::interval;
end
$$;
comment on function engine_stamp() is 'The time to write into a row; moves within a transaction.';

-- Row-level security as every table with a tenant has it.
create procedure isolate_by_tenant(tenant_table regclass, tenant_column name default 'tenant_id')
language plpgsql as $$
declare
  visible text := format(
    '%I = nullif(current_setting(''app.tenant'', true), '''')::uuid or current_setting(''app.scope'', true) = ''system''',
    tenant_column);
begin
  execute format('alter table %s enable row level security', tenant_table);
  execute format('alter table %s force row level security', tenant_table);
  execute format('create policy tenant_isolation on %s using (%s) with check (%s)', tenant_table, visible, visible);
end
$$;
comment on procedure isolate_by_tenant is 'Enables and forces row-level security: a transaction sees its tenant, or everything in the system scope.';

create table tenants (
  id uuid primary key,
  name text not null check (length(name) between 1 and 200),
  email text,
  plan text not null check (plan in ('basic', 'pro', 'enterprise')),
  created_at timestamptz not null default engine_stamp()
);
comment on table tenants is 'A restaurant, an agency''s client workspace, or one person''s organization.';
comment on column tenants.email is 'Whom to write to; null for the system tenant.';
create index tenants_by_creation on tenants (created_at desc, id desc);
-- The owner of jobs without a customer; inserted before the policy that would refuse it here.
insert into tenants (id, name, plan) values ('00000000-0000-0000-0000-000000000000', 'system', 'enterprise');
call isolate_by_tenant('tenants', 'id');

create table api_keys (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  name text not null,
  prefix text not null,
  secret_sha256 bytea not null unique,
  created_at timestamptz not null default engine_stamp(),
  revoked_at timestamptz
);
comment on table api_keys is 'Keys for the API. Those of the system tenant are operators'' and see every tenant.';
comment on column api_keys.prefix is 'The first characters of the key, to recognise it by.';
comment on column api_keys.secret_sha256 is 'SHA-256 of the whole key, which is random enough (256 bits) to need no slow hash.';
call isolate_by_tenant('api_keys');
