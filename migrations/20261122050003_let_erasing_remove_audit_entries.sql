-- What erases a tenant names it, and may remove what is that tenant's.

create or replace function refuse_removal() returns trigger
language plpgsql as $$
begin
  if current_setting('app.erasing_tenant', true) = old.tenant_id::text then
    return old;
  end if;
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
comment on function refuse_removal() is 'For tables whose rows stay until their tenant is erased.';
drop trigger if exists audit_log_is_append_only on audit_log;
drop trigger if exists audit_log_is_not_changed on audit_log;
drop trigger if exists audit_log_is_kept on audit_log;
create trigger audit_log_is_not_changed before update on audit_log
  for each row execute function refuse_change();
create trigger audit_log_is_kept before delete on audit_log
  for each row execute function refuse_removal();
