-- The roles and the database of a private cluster. Roles are cluster-wide, so set-up makes them and
-- never a migration. May run again.

-- The owner: an ordinary login, as in production; tests make databases of their own.
select 'create role linecook login createdb'
where not exists (select from pg_roles where rolname = 'linecook') \gexec

-- What the programs become when their login is a superuser, whom row-level security would not bind.
select 'create role linecook_app nologin'
where not exists (select from pg_roles where rolname = 'linecook_app') \gexec

select 'create database linecook owner linecook'
where not exists (select from pg_database where datname = 'linecook') \gexec
