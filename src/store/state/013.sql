-- Since when an athlete is known to have taken the access back, as somebody said; refused_at_s is what Strava's answers say.
ALTER TABLE accounts ADD COLUMN revoked_at_s INTEGER;
