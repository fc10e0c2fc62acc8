-- Since when the token endpoint has not taken the refresh token of an account: its athlete took the access back, or the token
-- is not the newest. Null while it is taken. Until now the first was thought where only this was known.
ALTER TABLE accounts ADD COLUMN refresh_refused_at_s INTEGER;
UPDATE accounts SET refresh_refused_at_s = refused_at_s, refused_at_s = NULL;
