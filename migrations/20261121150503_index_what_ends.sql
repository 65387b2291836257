-- Found by time, in batches: effects that are pruned, tokens that are refreshed.

-- Rows are appended as they are made, so a block range index finds the oldest, at next to no cost.
create index effects_by_creation on effects using brin (created_at) with (pages_per_range = 32, autosummarize = on);
create index oauth_tokens_expiring on oauth_tokens (expires_at, id) where kind = 'user' and expires_at is not null;
