-- Looking for one call is one attempt, however often it is looked.

alter table job_attempts add column looks integer not null default 0;
comment on column job_attempts.looks is 'How often it looked for a call of which it is open whether it happened.';
