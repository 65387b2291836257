-- Searches and lists of finished jobs whose cost does not grow with their number.

-- Under row-level security an index serves only operators that reveal nothing, such as the equality of texts. So no
-- GIN index helps here, and the words are rows.
create function job_text(args jsonb, error jsonb) returns text
language sql immutable parallel safe
return lower(
  coalesce(error ->> 'class', '') || ' ' || coalesce(translate(error ->> 'message', E'"\\\n\r\t', '     '), '') || ' '
    || regexp_replace(args::text, '"(?:[^"\\]|\\.)*": |\\.|"', ' ', 'g')
);
comment on function job_text is
  'What a search looks at, in lower case: class and message of the last failure, and the payload without its names.
Quotes, backslashes and ends of lines are blanks.';

create function job_words_of(args jsonb, error jsonb, account_id uuid) returns setof text
language sql immutable parallel safe rows 4 as $$
  select left(trimmed.word, 64)
  from regexp_split_to_table(
    left(job_text(args, error), 2000) || ' ' || coalesce(account_id::text, ''), '[^[:alnum:]@._-]+'
  ) as part
  cross join lateral (
    select btrim(part, '._-') as word
  ) trimmed
  where length(trimmed.word) >= 2 and trimmed.word not in ('null', 'true', 'false')
$$;
comment on function job_words_of is 'The words of job_text (ids, addresses, codes, words of a language) and the account.';

create table job_words (
  tenant_id uuid not null,
  word text collate "C" not null,
  created_at timestamptz not null,
  job_id uuid not null
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
comment on table job_words is
  'The words of finished jobs, to find them by. Triggers of job_history write and delete them with the jobs.';
comment on column job_words.created_at is 'When the job was made: searches list the newest first.';
create index job_words_by_word on job_words (word, created_at desc, job_id desc);
create index job_words_by_tenant on job_words (tenant_id);
call isolate_by_tenant('job_words');

create function keep_job_words() returns trigger
language plpgsql as $$
begin
  insert into job_words (tenant_id, word, created_at, job_id)
  select distinct ended.tenant_id, word, ended.created_at, ended.id
  from ended
  cross join lateral job_words_of(ended.args, ended.error, ended.account_id) as word
  where ended.args <> '{}' or ended.error is not null or ended.account_id is not null;
  return null;
end
$$;
create trigger keep_job_words after insert on job_history
  referencing new table as ended for each statement execute function keep_job_words();

create function drop_job_words() returns trigger
language plpgsql as $$
begin
  delete from job_words
  using gone
  cross join lateral job_words_of(gone.args, gone.error, gone.account_id) as gone_word
  where job_words.word = gone_word collate "C"
    and job_words.created_at = gone.created_at
    and job_words.job_id = gone.id;
  return null;
end
$$;
create trigger drop_job_words after delete on job_history
  referencing old table as gone for each statement execute function drop_job_words();

set local app.scope = 'system';
insert into job_words (tenant_id, word, created_at, job_id)
select distinct tenant_id, word, created_at, id
from job_history
cross join lateral job_words_of(args, error, account_id) as word
where args <> '{}' or error is not null or account_id is not null;
set local app.scope = '';

-- For lists that leave out what completed: a completed job has no entry in it.
create index job_history_uncompleted on job_history (created_at desc, id desc) where state <> 'completed';
