-- What image jobs may name instead of spelling it out. Versions are never changed: jobs that name one mean just that.
--
-- body:       the recipe as a job's args have it, without the source: {"outputs": [...], ...}
-- deleted_at: when it was made unusable for new jobs; a new version begins it anew
CREATE TABLE recipes (
    name       text    NOT NULL,
    version    integer NOT NULL,
    body       jsonb   NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (name, version)
);
