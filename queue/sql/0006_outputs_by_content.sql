-- Which file has a row? The sweep of the blob directory asks by what files are named after. A lookup is all that is wanted of it;
-- many jobs may have made the same file, which a b-tree keeps once (a hash index would chain them).
CREATE INDEX outputs_sha256 ON outputs (sha256);
