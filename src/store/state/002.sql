-- What a fetch knows that cannot be made anew: what was refused, what others spend, who is being forgotten.

-- Things of an account that the source refused.
CREATE TABLE parked (
    source TEXT NOT NULL,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL,               -- detail, streams
    id TEXT NOT NULL,                 -- the activity
    reason TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_s INTEGER NOT NULL,          -- not before this is it asked for again, unix seconds
    PRIMARY KEY (source, account_id, kind, id)
) STRICT;

-- Calls of others that use the same application, as seen in the counts of the API.
CREATE TABLE live_calls (
    source TEXT NOT NULL,
    hour INTEGER NOT NULL,            -- of the UTC day
    seconds REAL NOT NULL,            -- how long it was watched for
    calls REAL NOT NULL,
    PRIMARY KEY (source, hour)
) STRICT;

-- Users who are being forgotten: written down before anything is removed, struck off when nothing is left.
CREATE TABLE purges (user_id TEXT PRIMARY KEY) STRICT;
