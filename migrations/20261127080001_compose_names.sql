-- Names are stored composed (NFC), so that equal ones are equal. A folder whose name would become that of another one keeps its own.

set local app.scope = 'system';
update asset_folders folder
set name = normalize(name)
where name is not normalized and length(normalize(name)) <= 200
  and not exists (
    select
    from asset_folders other
    where other.tenant_id = folder.tenant_id and other.id <> folder.id and normalize(other.name) = normalize(folder.name)
  );
update tenants set name = normalize(name) where name is not normalized and length(normalize(name)) <= 200;
update api_keys set name = normalize(name) where name is not normalized and length(normalize(name)) <= 200;
update users
set first_name = normalize(first_name), last_name = normalize(last_name)
where (first_name is not normalized or last_name is not normalized)
  and length(normalize(first_name)) <= 100 and length(normalize(last_name)) <= 100;
set local app.scope = '';
