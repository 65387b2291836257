-- The words of finished jobs are written afterwards. While a trigger wrote them, settling a job with an id in its
-- payload took twice as long.

create table jobs_to_index (
  tenant_id uuid not null,
  created_at timestamptz not null,
  job_id uuid not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1);
comment on table jobs_to_index is
  'A finished job whose words are not in job_words yet. A trigger of job_history writes it in the transaction that
finishes the job, so none is missed, however late that transaction commits. Deleted when the words are written.';
comment on column jobs_to_index.created_at is 'When the job was made: searches list the newest first.';
create index jobs_to_index_by_creation on jobs_to_index (created_at desc, job_id desc);
call isolate_by_tenant('jobs_to_index');

drop trigger keep_job_words on job_history;
drop function keep_job_words();

create function note_jobs_to_index() returns trigger
language plpgsql as $$
begin
  insert into jobs_to_index (tenant_id, created_at, job_id)
  select tenant_id, created_at, id
  from ended
  where args <> '{}' or error is not null or account_id is not null;
  return null;
end
$$;
create trigger note_jobs_to_index after insert on job_history
  referencing new table as ended for each statement execute function note_jobs_to_index();

create or replace function drop_job_words() returns trigger
language plpgsql as $$
begin
  -- Whoever writes words holds this row. So they are written and seen by the next statement, or never written.
  delete from jobs_to_index
  using gone
  where jobs_to_index.created_at = gone.created_at and jobs_to_index.job_id = gone.id;
  delete from job_words
  using gone
  cross join lateral job_words_of(gone.args, gone.error, gone.account_id) as gone_word
  where job_words.word = gone_word collate "C"
    and job_words.created_at = gone.created_at
    and job_words.job_id = gone.id;
  return null;
end
$$;

comment on table job_words is
  'The words of finished jobs, to find them by. The job index_words writes them; a trigger of job_history deletes them.';
