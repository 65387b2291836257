-- What a tenant wants done about posts of which nobody can tell whether they are out.

alter table tenant_settings
  add column unknown_after_minutes integer check (unknown_after_minutes between 1 and 1440),
  add column on_unknown text check (on_unknown in ('ask', 'fail'));
comment on column tenant_settings.unknown_after_minutes is
  'How long a post is looked for that the network does not show; null: 10.';
comment on column tenant_settings.on_unknown is
  'What becomes of it then: ask = a person says, fail = it fails and is never sent again; null: ask.';
