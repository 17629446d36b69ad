-- The smallest UUID whose first 48 bits are this time: where a month of UUIDv7 begins.
CREATE FUNCTION millrace_first_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the missing partitions of one month; gives how many. A month of which the default partition holds rows already is left
-- there: taking them over would block writers for as long as that takes. A table is made first and attached then, because ATTACH
-- blocks neither readers nor writers of the other partitions, as CREATE TABLE ... PARTITION OF would.
CREATE FUNCTION millrace_ensure_month(month timestamp) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    first_id uuid := millrace_first_id(month AT TIME ZONE 'UTC');
    end_id   uuid := millrace_first_id((month + interval '1 month') AT TIME ZONE 'UTC');
    parent   text;
    key      text;
    part     text;
    taken    boolean;
    made     integer := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['jobs', 'attempts', 'outputs'] LOOP
        part := parent || to_char(month, '_YYYY_MM');
        CONTINUE WHEN to_regclass(part) IS NOT NULL;
        key := CASE parent WHEN 'jobs' THEN 'id' ELSE 'job_id' END;
        -- Locked before it is looked at, so that no writer can slip a row in between.
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= $1 AND %I < $2)', parent || '_default', key, key)
            INTO taken USING first_id, end_id;
        CONTINUE WHEN taken;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, first_id, end_id);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Makes the partitions of last month (jobs of its last hours may still end), this one and that many ahead; gives how many were
-- missing. Two callers at once wait for each other. It rather fails than makes writers wait for long behind a reader: call again.
CREATE FUNCTION millrace_ensure_partitions(months_ahead integer) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    made       integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('millrace_partitions'));
    FOR i IN -1 .. months_ahead LOOP
        made := made + millrace_ensure_month(this_month + i * interval '1 month');
    END LOOP;
    RETURN made;
END $$;

-- Drops the months that ended more than that many whole months ago; gives the names of what was dropped. The default partition
-- stays.
CREATE FUNCTION millrace_drop_months(months_kept integer) RETURNS SETOF text
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    oldest text := to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - months_kept * interval '1 month', 'YYYY_MM');
    part   regclass;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('millrace_partitions'));
    FOR part IN
        SELECT i.inhrelid::regclass
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('jobs'::regclass, 'attempts'::regclass, 'outputs'::regclass)
          AND c.relname ~ '_\d{4}_\d{2}$' AND right(c.relname, 7) < oldest
        ORDER BY c.relname
    LOOP
        RETURN NEXT part::text;
        EXECUTE format('DROP TABLE %s', part);
    END LOOP;
END $$;
