-- The athlete that the answers to an account name, where the account's id is no number of Strava's.
ALTER TABLE accounts ADD COLUMN athlete_id TEXT;
-- Since when the tokens of an account are known to be another athlete's. Null while they are its own, as far as is known.
ALTER TABLE accounts ADD COLUMN mistaken_at_s INTEGER;
