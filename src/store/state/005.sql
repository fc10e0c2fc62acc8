-- What an athlete granted, as the source writes it; null where nobody said.
ALTER TABLE accounts ADD COLUMN scope TEXT;
