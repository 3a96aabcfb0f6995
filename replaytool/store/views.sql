-- The views and the comments on their columns are a contract: queries of other people stand on them.
-- engines.NAME stands for the views NAME of all engines that compute theirs from events (engines/*/views.sql). All other
-- engines' steps are rows of the table `step`.

CREATE VIEW runs AS
SELECT
    run_key, engine, namespace, workflow_id, run_id, run_id_from, workflow_type, task_queue, status, started_at,
    closed_at, event_count, history_bytes, first_build, last_build, parent_workflow_id, first_run_id,
    continued_run_id, reset_from_run_id, sdk_name, sdk_version, source, format, sha256
FROM run;

CREATE VIEW events AS
SELECT run.run_key, event_id, event_type, event_time, build_id, CAST(raw AS JSON) AS raw
FROM event JOIN run ON run.id = event.run;

CREATE VIEW steps AS
SELECT
    run_key, step_id, kind, name, parent_step_id, event_id, closed_event_id, outcome, attempt, scheduled_at,
    step.started_at, step.closed_at, build_id, CAST(input AS JSON) AS input, CAST(result AS JSON) AS result,
    CAST(failure AS JSON) AS failure
FROM step JOIN run ON run.id = step.run
UNION ALL BY NAME FROM engines.steps;

CREATE VIEW activities AS
SELECT
    run_key,
    step_id AS activity_id,
    name AS activity_type,
    event_id AS scheduled_event_id,
    CAST(NULL AS INTEGER) AS started_event_id,
    closed_event_id,
    outcome,
    attempt,
    scheduled_at,
    step.started_at,
    step.closed_at,
    build_id,
    CAST(input AS JSON) AS input,
    CAST(result AS JSON) AS result,
    CAST(failure AS JSON) AS failure
FROM step JOIN run ON run.id = step.run
WHERE kind IN ('activity', 'task', 'node', 'step', 'local')
UNION ALL BY NAME FROM engines.activities;

CREATE VIEW tasks AS
SELECT
    run_key, scheduled_event_id, started_event_id, closed_event_id, outcome, cause, build_id, deployment_name,
    versioning_behavior, identity
FROM engines.tasks;

CREATE VIEW signals AS
SELECT run_key, event_id, "at", name, input, identity
FROM engines.signals;

CREATE VIEW updates AS
SELECT
    run_key, update_id, name, input, admitted_event_id, accepted_event_id, completed_event_id, outcome, accepted_at,
    completed_at, result, failure
FROM engines.updates;

CREATE VIEW timers AS
SELECT
    run_key,
    step_id AS timer_id,
    CASE kind WHEN 'timer' THEN input ->> '$' END AS duration,
    event_id AS started_event_id,
    closed_event_id,
    outcome,
    coalesce(step.started_at, scheduled_at) AS started_at,
    step.closed_at
FROM step JOIN run ON run.id = step.run
WHERE kind IN ('timer', 'wait')
UNION ALL BY NAME FROM engines.timers;

CREATE VIEW children AS
SELECT
    run_key,
    child_workflow_id AS workflow_id,
    CAST(NULL AS VARCHAR) AS run_id,
    name AS workflow_type,
    event_id AS initiated_event_id,
    CAST(NULL AS INTEGER) AS started_event_id,
    closed_event_id,
    outcome,
    scheduled_at AS initiated_at,
    step.started_at,
    step.closed_at,
    CAST(input AS JSON) AS input,
    CAST(result AS JSON) AS result,
    CAST(failure AS JSON) AS failure
FROM step JOIN run ON run.id = step.run
WHERE kind = 'child'
UNION ALL BY NAME FROM engines.children;

CREATE VIEW markers AS
SELECT run_key, event_id, "at", name, details, failure
FROM engines.markers;

CREATE VIEW builds AS
SELECT
    build_id,
    deployment_name,
    count(DISTINCT run) AS runs,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    CAST(sum(tasks) AS BIGINT) AS tasks,
    CAST(sum(activities) AS BIGINT) AS activities,
    regexp_full_match(build_id, '[0-9a-f]{32}') AS is_hash
FROM run_build
GROUP BY build_id, deployment_name;

CREATE VIEW reset_points AS
WITH
candidate AS (
    SELECT run, event_id, coalesce(started_at, scheduled_at, closed_at) AS at, build_id
    FROM step WHERE build_id IS NOT NULL
    UNION ALL BY NAME FROM engines.reset_candidates
),
followed AS (
    SELECT *, lag(build_id) OVER (PARTITION BY run ORDER BY event_id) AS before FROM candidate
),
entered AS (
    SELECT *, row_number() OVER (PARTITION BY run, build_id ORDER BY event_id) AS ordinal
    FROM followed WHERE before IS DISTINCT FROM build_id
)
SELECT run.run_key, entered.build_id, entered.event_id, entered.ordinal, entered.at
FROM entered JOIN run ON run.id = entered.run;

CREATE VIEW verdicts AS
SELECT
    run_key, code_fingerprint, verdict, reason, engine, confirmed_by, event_id, CAST(detail AS JSON) AS detail, seconds,
    checked_at
FROM verdict;

CREATE VIEW problems AS
SELECT run.run_key, problem.code, problem.message, problem.event_id
FROM problem JOIN run ON run.id = problem.run;
