-- The answer of a write is kept in the transaction of the write itself, whatever tenant that transaction sees.

create function answer_idempotency_key(
  of_tenant uuid, of_caller uuid, of_key bytea, holder uuid, with_status smallint, with_answer text
) returns boolean
language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  is_held boolean;
begin
  perform set_config('app.scope', 'system', true);
  update idempotency_keys
  set status = with_status, answer = with_answer, locked_until = null
  where tenant_id = of_tenant and caller_id = of_caller and key_sha256 = of_key and id = holder and status is null;
  is_held := found;
  perform set_config('app.scope', scope, true);
  return is_held;
end
$$;
comment on function answer_idempotency_key is
  'Keeps the answer of the request that holds a key; false if it does not hold the key any more.';
comment on column idempotency_keys.locked_until is
  'Nobody takes the key over before; the process that runs the request moves it on. Null once it is answered.';
