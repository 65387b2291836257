-- The name by which code and prose call it.
alter table post_history rename column told_of to notified_of;
