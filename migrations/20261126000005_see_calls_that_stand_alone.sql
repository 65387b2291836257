-- Where a network does not show which pictures a post has, an equal text with another picture looks the same. A call is told by
-- its text alone only if no other with this text may be what is seen: one that is looked for, or was and was not found.

drop index effects_equal;
create index effects_equal on effects (network, remote_account, request_digest) where state in ('sent', 'unknown', 'failed');

create function stands_alone(of_network text, of_account text, of_digest text, for_effect uuid, sent_after timestamptz)
returns boolean language plpgsql as $$
declare
  scope text := coalesce(current_setting('app.scope', true), '');
  answer boolean;
begin
  perform set_config('app.scope', 'system', true);
  answer := not exists (
    select from effects
    where network = of_network and remote_account = of_account and request_digest = of_digest
      and state in ('sent', 'unknown', 'failed') and remote_id is null and id <> for_effect and sent_at > sent_after
  );
  perform set_config('app.scope', scope, true);
  return answer;
end
$$;
comment on function stands_alone is
  'Whether no equal call that was sent after a time may be what is seen.';
