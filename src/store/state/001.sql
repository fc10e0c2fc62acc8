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

-- The runs that the live pipeline made of activities.
CREATE TABLE IF NOT EXISTS runs (
    user_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    source TEXT,                      -- strava, file_upload
    source_activity_id TEXT,
    pipeline_id TEXT,
    status TEXT NOT NULL,             -- synced, tier_blocked; as it came where it is not known
    start_s INTEGER,
    updated_s INTEGER,
    PRIMARY KEY (user_id, run_id)
) STRICT;

-- The live pipeline's users.
CREATE TABLE IF NOT EXISTS pipeline_users (
    user_id TEXT PRIMARY KEY,
    tier TEXT,                        -- hobbyist, athlete
    syncs_used INTEGER NOT NULL,      -- in the month of told_s
    told_s INTEGER NOT NULL,          -- when the export was taken in
    written_s INTEGER NOT NULL        -- when it was written; what was sent since is not counted in it
) STRICT;

CREATE TABLE IF NOT EXISTS pipelines (
    user_id TEXT NOT NULL,
    pipeline_id TEXT NOT NULL,
    source TEXT NOT NULL,
    destinations TEXT NOT NULL,       -- commas between
    disabled INTEGER NOT NULL,
    PRIMARY KEY (user_id, pipeline_id)
) STRICT;

-- When an export of the pipeline was taken in: without one, everything would seem to be missing there.
CREATE TABLE IF NOT EXISTS pipeline_exports (
    taken_in_s INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    runs INTEGER NOT NULL             -- of the entries
) STRICT;

-- What was re-driven: what is meant to be sent is written before it is sent, how that ended after it.
CREATE TABLE IF NOT EXISTS redrives (
    sink TEXT NOT NULL,
    user_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    golden_id TEXT NOT NULL,
    start_s INTEGER NOT NULL,         -- of the activity
    syncs INTEGER NOT NULL,           -- of the user's tier
    state TEXT NOT NULL,              -- intended, delivered, rejected, unknown
    reason TEXT,
    attempts INTEGER NOT NULL,
    changed_s INTEGER NOT NULL,
    PRIMARY KEY (sink, user_id, execution_id)
) STRICT;
