-- What writes with an Idempotency-Key were answered, for a day.

create table idempotency_keys (
  tenant_id uuid not null references tenants (id) on delete cascade,
  caller_id uuid not null,
  key_sha256 bytea not null,
  id uuid not null,
  request_sha256 bytea not null,
  status smallint check (status between 200 and 499),
  answer text,
  created_at timestamptz not null default engine_stamp(),
  locked_until timestamptz,
  primary key (tenant_id, caller_id, key_sha256),
  check ((status is null) = (answer is null)),
  check ((status is null) = (locked_until is not null))
);
comment on table idempotency_keys is 'Writes that named an Idempotency-Key: one that runs is locked, one that ended has its answer.';
comment on column idempotency_keys.caller_id is 'The API key, or the person.';
comment on column idempotency_keys.key_sha256 is 'SHA-256 of the method, the path and the key that the caller chose.';
comment on column idempotency_keys.id is 'Names the one request that holds the key: whoever takes it over gives it another.';
comment on column idempotency_keys.request_sha256 is 'SHA-256 of the whole request, to tell another one under the same key.';
comment on column idempotency_keys.answer is 'Headers and body, encrypted as tokens are: an answer may hold a new API key.';
comment on column idempotency_keys.locked_until is 'When the process that runs the request must have died; null once it is answered.';
create index idempotency_keys_by_creation on idempotency_keys (created_at);
call isolate_by_tenant('idempotency_keys');
