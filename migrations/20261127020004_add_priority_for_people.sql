-- Work that a person waits for in a browser goes before everything else.

alter table jobs drop constraint jobs_priority_check;
alter table jobs add constraint jobs_priority_check check (priority between 0 and 3);
comment on column jobs.priority is
  '0 = a person waits for it in a browser, 1 = before others, 2 = normal, 3 = when nothing else waits; every tenth slot goes to the lowest.';
