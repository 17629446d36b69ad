-- What image jobs have made: the result of the same source and the same recipe can be given again without work.
--
-- key:    SHA-256 of the source's bytes, the job's type and options, and the renderer's version
-- result: the result's msgpack map, with the names of its files in it
CREATE TABLE image_results (
    key     bytea PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now(),
    result  bytea NOT NULL
);

-- Old ones go a few at a time, whenever one is added.
CREATE INDEX image_results_made ON image_results (made_at);
