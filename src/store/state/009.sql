-- A pipeline's boosters, commas between. Null where its export did not say, as before this version.
ALTER TABLE pipelines ADD COLUMN boosters TEXT;
