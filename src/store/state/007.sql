-- What a message said of its record, as a digest: a record that says something else now has changed since. Unknown of
-- what was sent before.
ALTER TABLE redrives ADD COLUMN content INTEGER;
