-- So that a tenant is written to once about each outcome of a delivery, however often it is tried again.
alter table post_history add column told_of text check (told_of in ('failed', 'unknown', 'missed'));
comment on column post_history.told_of is 'The outcome that the tenant was last written to about; null if it never was.';
