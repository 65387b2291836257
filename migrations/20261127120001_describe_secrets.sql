comment on column oauth_tokens.access_token is
  'Encrypted: the envelope v1.<key id>.<nonce>.<ciphertext>, bound to table, column, tenant and row.';
