-- Since when the source has refused every token of an account: its athlete took the access back. Null while it takes them.
ALTER TABLE accounts ADD COLUMN refused_at_s INTEGER;
