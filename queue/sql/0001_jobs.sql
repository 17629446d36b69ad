-- What became of jobs. One row a job, written when an attempt ends; queued and running jobs live in Redis.
--
-- All three tables are cut into months by the job's id: a UUIDv7 begins with its time, so a month of ids is one range, and an old
-- month is dropped whole instead of deleted row by row. Ids that are no UUIDv7, or of a month without a partition, go to the default
-- partition. Months are made by millrace_ensure_partitions().
--
-- state:    4 retrying (waits in Redis for its next attempt), 5 succeeded, 6 dead, 7 cancelled, 8 expired; from 5 on it is final
-- priority: 0 critical, 1 high, 2 normal, 3 low
-- error:    the name of an error, as in TIMEOUT; error_text is for people

CREATE TABLE jobs (
    id              uuid PRIMARY KEY,
    parent          uuid,
    state           smallint NOT NULL CHECK (state BETWEEN 4 AND 8),
    priority        smallint NOT NULL CHECK (priority BETWEEN 0 AND 3),
    attempt         integer NOT NULL,
    max_attempts    integer NOT NULL,
    enqueued_at     timestamptz,
    started_at      timestamptz,
    finished_at     timestamptz,
    next_attempt_at timestamptz,
    queue           text NOT NULL,
    type            text NOT NULL,
    worker          text NOT NULL,
    error           text,
    error_text      text,
    item            bytea NOT NULL, -- the envelope as it was enqueued, so that the job can run again
    result          jsonb
) PARTITION BY RANGE (id);

CREATE TABLE attempts (
    job_id      uuid NOT NULL,
    attempt     integer NOT NULL,
    outcome     smallint NOT NULL, -- the state that this attempt led to
    started_at  timestamptz,
    finished_at timestamptz,
    worker      text NOT NULL,
    error       text,
    error_text  text,
    PRIMARY KEY (job_id, attempt)
) PARTITION BY RANGE (job_id);

CREATE TABLE outputs (
    job_id  uuid NOT NULL,
    attempt integer NOT NULL, -- the one that made it
    width   integer NOT NULL,
    height  integer NOT NULL,
    bytes   bigint NOT NULL,
    name    text NOT NULL,
    format  text NOT NULL,
    file    text NOT NULL, -- path below the blob directory
    sha256  bytea NOT NULL,
    PRIMARY KEY (job_id, name)
) PARTITION BY RANGE (job_id);

CREATE TABLE jobs_default PARTITION OF jobs DEFAULT;
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;
CREATE TABLE outputs_default PARTITION OF outputs DEFAULT;

-- Lists run newest first, filtered by queue, type, state and error in any combination. Each index ends in the id, so that whichever
-- one the planner takes, rows come in order and a page costs a page. Most jobs succeed without an error: what did not is indexed
-- apart, in indexes that cost a successful job nothing; the newest succeeded ones are found by walking the ids.
CREATE INDEX jobs_queue ON jobs (queue, id);
CREATE INDEX jobs_type ON jobs (type, id);
CREATE INDEX jobs_state ON jobs (state, id) WHERE state <> 5;
CREATE INDEX jobs_error ON jobs (error, id) WHERE error IS NOT NULL;

-- For people with psql.
CREATE VIEW job_list AS
SELECT id,
       queue,
       type,
       (ARRAY['retrying', 'succeeded', 'dead', 'cancelled', 'expired'])[state - 3] AS state,
       (ARRAY['critical', 'high', 'normal', 'low'])[priority + 1] AS priority,
       attempt,
       max_attempts,
       enqueued_at,
       started_at,
       finished_at,
       next_attempt_at,
       worker,
       error,
       error_text,
       result,
       parent
FROM jobs;
