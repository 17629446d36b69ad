-- What a job that is run again needs, and the batch that a job belongs to.
--
-- redrives:    how often somebody had it run again after its end. Its row then says 4 (waits for an attempt) once more; the attempt goes
--              on counting.
-- redriven_at: when, the last time
-- excused:     the attempts that it had by then: they do not count against its limit
ALTER TABLE jobs
    ADD COLUMN batch       uuid,
    ADD COLUMN redrives    integer NOT NULL DEFAULT 0,
    ADD COLUMN excused     integer NOT NULL DEFAULT 0,
    ADD COLUMN redriven_at timestamptz;

CREATE INDEX jobs_batch ON jobs (batch, id) WHERE batch IS NOT NULL;

CREATE OR REPLACE VIEW job_list AS
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
       parent,
       batch,
       redrives,
       redriven_at
FROM jobs;
