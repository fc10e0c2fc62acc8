-- What people said of the zone that the clocks of a source were in, from one day to another, both included.
CREATE TABLE zones (
    user_id TEXT NOT NULL,
    source TEXT NOT NULL,
    from_day TEXT NOT NULL,
    to_day TEXT NOT NULL,
    zone TEXT NOT NULL,               -- an IANA name
    answered_at_s INTEGER NOT NULL,
    PRIMARY KEY (user_id, source, from_day, to_day)
) STRICT;
