-- The tables are free to change; what others may rely on are the views (views.sql). An older store is upgraded by this
-- file too, so each table is created only where it is missing.
CREATE TABLE IF NOT EXISTS meta (key VARCHAR NOT NULL, value VARCHAR NOT NULL);

CREATE TABLE IF NOT EXISTS run (
    id INTEGER NOT NULL,
    run_key VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    namespace VARCHAR,
    workflow_id VARCHAR,
    run_id VARCHAR,
    run_id_from VARCHAR NOT NULL,
    workflow_type VARCHAR NOT NULL,
    task_queue VARCHAR,
    status VARCHAR NOT NULL,
    started_at TIMESTAMP,
    closed_at TIMESTAMP,
    event_count INTEGER NOT NULL,
    history_bytes BIGINT NOT NULL,
    first_build VARCHAR,
    last_build VARCHAR,
    parent_workflow_id VARCHAR,
    first_run_id VARCHAR,
    continued_run_id VARCHAR,
    reset_from_run_id VARCHAR,
    sdk_name VARCHAR,
    sdk_version VARCHAR,
    source VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL
);

-- Whole vectors of events are compressed together: JSON of one kind shrinks to a tenth and less.
CREATE TABLE IF NOT EXISTS event (
    run INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    event_type VARCHAR NOT NULL,
    event_time TIMESTAMP,
    build_id VARCHAR,
    raw VARCHAR NOT NULL USING COMPRESSION zstd
);

-- The steps of runs whose engine has no views.sql. NULL stands where the record holds no value.
CREATE TABLE IF NOT EXISTS step (
    run INTEGER NOT NULL,
    step_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR,
    parent_step_id VARCHAR,
    child_workflow_id VARCHAR,
    event_id INTEGER NOT NULL,
    closed_event_id INTEGER,
    outcome VARCHAR NOT NULL,
    attempt INTEGER,
    scheduled_at TIMESTAMP,
    started_at TIMESTAMP,
    closed_at TIMESTAMP,
    build_id VARCHAR,
    input VARCHAR USING COMPRESSION zstd,
    result VARCHAR USING COMPRESSION zstd,
    failure VARCHAR USING COMPRESSION zstd
);

-- What each build did in each run, summed up while loading, so that `builds` does not read events.
CREATE TABLE IF NOT EXISTS run_build (
    run INTEGER NOT NULL,
    build_id VARCHAR NOT NULL,
    deployment_name VARCHAR,
    tasks INTEGER NOT NULL,
    activities INTEGER NOT NULL,
    first_seen TIMESTAMP,
    last_seen TIMESTAMP
);

CREATE TABLE IF NOT EXISTS problem (
    run INTEGER NOT NULL,
    code VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    event_id INTEGER
);

CREATE TABLE IF NOT EXISTS verdict (
    run_key VARCHAR NOT NULL,
    run_sha256 VARCHAR NOT NULL,
    code_fingerprint VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,
    reason VARCHAR,
    engine VARCHAR,
    confirmed_by VARCHAR,
    event_id INTEGER,
    detail VARCHAR,
    seconds DOUBLE,
    checked_at TIMESTAMP NOT NULL
);
