-- Every file of the pipeline's exports that was imported to its end. One with refused documents says nothing about
-- what is not in it.
CREATE TABLE IF NOT EXISTS export_files (
    file TEXT NOT NULL,
    imported_s INTEGER NOT NULL,
    written_s INTEGER NOT NULL,       -- when the file was written
    entries INTEGER NOT NULL,
    runs INTEGER NOT NULL,            -- of the entries
    refused INTEGER NOT NULL          -- documents that could not be read
) STRICT;

-- Deliveries are remembered by where they went, not by how the address was spelled: without the query, which may be a
-- token, and without slashes at the end. What was delivered stays so.
UPDATE OR REPLACE redrives SET sink = rtrim(substr(sink, 1, instr(sink, '?') - 1), '/')
    WHERE instr(sink, '?') > 0 AND sink NOT LIKE 'file:%' AND state = 'delivered';
UPDATE OR IGNORE redrives SET sink = rtrim(substr(sink, 1, instr(sink, '?') - 1), '/')
    WHERE instr(sink, '?') > 0 AND sink NOT LIKE 'file:%';
UPDATE OR REPLACE redrives SET sink = rtrim(sink, '/')
    WHERE sink LIKE '%/' AND sink NOT LIKE 'file:%' AND state = 'delivered';
UPDATE OR IGNORE redrives SET sink = rtrim(sink, '/') WHERE sink LIKE '%/' AND sink NOT LIKE 'file:%';
