-- When the leader last saw to it that due jobs become available: health shows a leader that holds its lease and does nothing.

alter table leadership add column promoted_at timestamptz not null default clock_timestamp();
comment on column leadership.promoted_at is 'When due jobs were last promoted, whoever led. Unshifted clock.';
