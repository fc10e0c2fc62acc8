-- Activities that are being forgotten, until nothing of them is left.
CREATE TABLE forgetting (
    user_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    PRIMARY KEY (user_id, source_id)
) STRICT;
