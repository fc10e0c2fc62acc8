-- The state database: what cannot be recomputed from the stores.

CREATE TABLE IF NOT EXISTS accounts (
    source TEXT NOT NULL,
    account_id TEXT NOT NULL,         -- the person, as the source numbers them
    user_id TEXT NOT NULL,            -- the person, as the lake knows them
    access_token TEXT NOT NULL,
    refresh_token TEXT NOT NULL,
    expires_at_s INTEGER NOT NULL,    -- when the access token ends, unix seconds
    PRIMARY KEY (source, account_id)
) STRICT;

-- One row per rate window, so that every process on the lake spends from the same budget.
CREATE TABLE IF NOT EXISTS rate_windows (
    source TEXT NOT NULL,
    pair TEXT NOT NULL,               -- overall, read
    length_s INTEGER NOT NULL,
    max_requests INTEGER NOT NULL,
    used INTEGER NOT NULL,
    window_index INTEGER NOT NULL,    -- server time divided by the length
    PRIMARY KEY (source, pair, length_s)
) STRICT;

-- Server time minus this machine's, as last seen.
CREATE TABLE IF NOT EXISTS clocks (
    source TEXT PRIMARY KEY,
    ahead_ms INTEGER NOT NULL
) STRICT;

-- What the live pipeline says that it uploaded somewhere, so that it is never taken for new.
CREATE TABLE IF NOT EXISTS uploads (
    user_id TEXT NOT NULL,
    entry TEXT NOT NULL,              -- the ledger's own key: strava:123, pending:1700000000
    destination TEXT,                 -- strava, hevy; null while it was pending
    destination_id TEXT,
    start_s INTEGER,
    duration_s REAL,
    source TEXT,
    external_id TEXT,
    uploaded_at TEXT,
    PRIMARY KEY (user_id, entry)
) STRICT;

-- What people said about two activities of one user: the same workout, or not.
CREATE TABLE IF NOT EXISTS answers (
    user_id TEXT NOT NULL,
    one TEXT NOT NULL,                -- source:id; the two are in the order of the alphabet
    other TEXT NOT NULL,
    answer TEXT NOT NULL,             -- same, different
    answered_at_s INTEGER NOT NULL,
    PRIMARY KEY (user_id, one, other)
) STRICT;
