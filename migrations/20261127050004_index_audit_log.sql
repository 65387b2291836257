-- For lists of what was done to an object, and of what somebody did.

create index audit_log_by_object on audit_log (object_id, created_at desc, id desc);
create index audit_log_by_actor on audit_log (actor_id, created_at desc, id desc);
