-- The views and the comments on their columns are a contract: queries of other people stand on them.

-- A recorded value as SQL can use it: JSON where it is JSON, text where it is text, else what it is and how long.
CREATE MACRO payload_value(payload) AS
    CASE
        WHEN payload IS NULL THEN NULL
        WHEN TRY(decode(from_base64(payload ->> '$.metadata.encoding'))) LIKE 'json/%'
            AND TRY(CAST(decode(from_base64(payload ->> '$.data')) AS JSON)) IS NOT NULL
            THEN TRY(CAST(decode(from_base64(payload ->> '$.data')) AS JSON))
        WHEN TRY(decode(from_base64(payload ->> '$.metadata.encoding'))) = 'binary/null' THEN CAST('null' AS JSON)
        ELSE json_object(
            'encoding', TRY(decode(from_base64(payload ->> '$.metadata.encoding'))),
            'bytes', TRY(octet_length(from_base64(payload ->> '$.data')))
        )
    END;

CREATE MACRO payload_values(payloads) AS
    to_json(list_transform(TRY_CAST(payloads -> '$.payloads' AS JSON[]), lambda payload: payload_value(payload)));

CREATE VIEW runs AS
SELECT
    run_key, engine, namespace, workflow_id, run_id, run_id_from, workflow_type, task_queue, status, started_at,
    closed_at, event_count, history_bytes, first_build, last_build, parent_workflow_id, first_run_id,
    continued_run_id, reset_from_run_id, sdk_name, sdk_version, source, format, sha256
FROM run;

CREATE VIEW events AS
SELECT run.run_key, event_id, event_type, event_time, build_id, CAST(raw AS JSON) AS raw
FROM event JOIN run ON run.id = event.run;

CREATE VIEW activities AS
WITH
scheduled AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.activityTaskScheduledEventAttributes' AS a
    FROM event WHERE event_type = 'ActivityTaskScheduled'
),
started AS (
    SELECT
        run, event_id, event_time, build_id,
        TRY_CAST(CAST(raw AS JSON) ->> '$.activityTaskStartedEventAttributes.scheduledEventId' AS INTEGER) AS scheduled_id,
        TRY_CAST(CAST(raw AS JSON) ->> '$.activityTaskStartedEventAttributes.attempt' AS INTEGER) AS attempt
    FROM event WHERE event_type = 'ActivityTaskStarted'
),
closed AS (
    SELECT
        run, event_id, event_time, substr(event_type, 13) AS outcome,
        CAST(raw AS JSON) -> ('$.activityTask' || substr(event_type, 13) || 'EventAttributes') AS a
    FROM event
    WHERE event_type IN ('ActivityTaskCompleted', 'ActivityTaskFailed', 'ActivityTaskTimedOut', 'ActivityTaskCanceled')
)
SELECT
    run.run_key,
    scheduled.a ->> '$.activityId' AS activity_id,
    scheduled.a ->> '$.activityType.name' AS activity_type,
    scheduled.event_id AS scheduled_event_id,
    started.event_id AS started_event_id,
    closed.event_id AS closed_event_id,
    coalesce(closed.outcome, CASE WHEN started.event_id IS NULL THEN 'Scheduled' ELSE 'Started' END) AS outcome,
    started.attempt,
    scheduled.event_time AS scheduled_at,
    started.event_time AS started_at,
    closed.event_time AS closed_at,
    started.build_id,
    payload_values(scheduled.a -> '$.input') AS input,
    payload_values(closed.a -> '$.result') AS result,
    closed.a -> '$.failure' AS failure
FROM scheduled
JOIN run ON run.id = scheduled.run
LEFT JOIN started ON started.run = scheduled.run AND started.scheduled_id = scheduled.event_id
LEFT JOIN closed ON closed.run = scheduled.run
    AND TRY_CAST(closed.a ->> '$.scheduledEventId' AS INTEGER) = scheduled.event_id;

CREATE VIEW tasks AS
WITH
closed AS (
    SELECT
        run, event_id, build_id, substr(event_type, 13) AS outcome,
        CAST(raw AS JSON) -> ('$.workflowTask' || substr(event_type, 13) || 'EventAttributes') AS a
    FROM event WHERE event_type IN ('WorkflowTaskCompleted', 'WorkflowTaskFailed', 'WorkflowTaskTimedOut')
),
started AS (
    SELECT
        run, event_id, build_id,
        CAST(raw AS JSON) -> '$.workflowTaskStartedEventAttributes' AS a
    FROM event WHERE event_type = 'WorkflowTaskStarted'
)
SELECT
    run.run_key,
    scheduled.event_id AS scheduled_event_id,
    started.event_id AS started_event_id,
    closed.event_id AS closed_event_id,
    coalesce(closed.outcome, CASE WHEN started.event_id IS NULL THEN 'Scheduled' ELSE 'Started' END) AS outcome,
    regexp_replace(closed.a ->> '$.cause', '^WORKFLOW_TASK_FAILED_CAUSE_', '') AS cause,
    coalesce(closed.build_id, started.build_id) AS build_id,
    coalesce(
        nullif(closed.a ->> '$.workerDeploymentName', ''), closed.a ->> '$.deploymentVersion.deploymentName'
    ) AS deployment_name,
    regexp_replace(closed.a ->> '$.versioningBehavior', '^VERSIONING_BEHAVIOR_', '') AS versioning_behavior,
    coalesce(closed.a ->> '$.identity', started.a ->> '$.identity') AS identity
FROM event AS scheduled
JOIN run ON run.id = scheduled.run
LEFT JOIN started ON started.run = scheduled.run
    AND TRY_CAST(started.a ->> '$.scheduledEventId' AS INTEGER) = scheduled.event_id
LEFT JOIN closed ON closed.run = scheduled.run
    AND TRY_CAST(closed.a ->> '$.scheduledEventId' AS INTEGER) = scheduled.event_id
WHERE scheduled.event_type = 'WorkflowTaskScheduled';

CREATE VIEW signals AS
SELECT
    run.run_key,
    event_id,
    event_time AS at,
    CAST(raw AS JSON) ->> '$.workflowExecutionSignaledEventAttributes.signalName' AS name,
    payload_values(CAST(raw AS JSON) -> '$.workflowExecutionSignaledEventAttributes.input') AS input,
    CAST(raw AS JSON) ->> '$.workflowExecutionSignaledEventAttributes.identity' AS identity
FROM event JOIN run ON run.id = event.run
WHERE event_type = 'WorkflowExecutionSignaled';

CREATE VIEW updates AS
WITH
accepted AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.workflowExecutionUpdateAcceptedEventAttributes' AS a
    FROM event WHERE event_type = 'WorkflowExecutionUpdateAccepted'
),
admitted AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.workflowExecutionUpdateAdmittedEventAttributes' AS a
    FROM event WHERE event_type = 'WorkflowExecutionUpdateAdmitted'
),
completed AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.workflowExecutionUpdateCompletedEventAttributes' AS a
    FROM event WHERE event_type = 'WorkflowExecutionUpdateCompleted'
)
SELECT
    run.run_key,
    accepted.a ->> '$.protocolInstanceId' AS update_id,
    coalesce(accepted.a ->> '$.acceptedRequest.input.name', admitted.a ->> '$.request.input.name') AS name,
    payload_values(
        coalesce(accepted.a -> '$.acceptedRequest.input.args', admitted.a -> '$.request.input.args')
    ) AS input,
    admitted.event_id AS admitted_event_id,
    accepted.event_id AS accepted_event_id,
    completed.event_id AS completed_event_id,
    CASE
        WHEN completed.event_id IS NULL THEN 'Accepted'
        WHEN (completed.a -> '$.outcome.failure') IS NOT NULL THEN 'Failed'
        ELSE 'Completed'
    END AS outcome,
    accepted.event_time AS accepted_at,
    completed.event_time AS completed_at,
    payload_values(completed.a -> '$.outcome.success') AS result,
    completed.a -> '$.outcome.failure' AS failure
FROM accepted
JOIN run ON run.id = accepted.run
LEFT JOIN admitted ON admitted.run = accepted.run
    AND (admitted.a ->> '$.request.meta.updateId') = (accepted.a ->> '$.protocolInstanceId')
LEFT JOIN completed ON completed.run = accepted.run
    AND TRY_CAST(completed.a ->> '$.acceptedEventId' AS INTEGER) = accepted.event_id;

CREATE VIEW timers AS
WITH closed AS (
    SELECT
        run, event_id, event_time, substr(event_type, 6) AS outcome,
        TRY_CAST(CAST(raw AS JSON) ->> ('$.timer' || substr(event_type, 6) || 'EventAttributes.startedEventId') AS INTEGER)
            AS started_id
    FROM event WHERE event_type IN ('TimerFired', 'TimerCanceled')
)
SELECT
    run.run_key,
    CAST(started.raw AS JSON) ->> '$.timerStartedEventAttributes.timerId' AS timer_id,
    CAST(started.raw AS JSON) ->> '$.timerStartedEventAttributes.startToFireTimeout' AS duration,
    started.event_id AS started_event_id,
    closed.event_id AS closed_event_id,
    coalesce(closed.outcome, 'Started') AS outcome,
    started.event_time AS started_at,
    closed.event_time AS closed_at
FROM event AS started
JOIN run ON run.id = started.run
LEFT JOIN closed ON closed.run = started.run AND closed.started_id = started.event_id
WHERE started.event_type = 'TimerStarted';

CREATE VIEW children AS
WITH
initiated AS (
    SELECT
        run, event_id, event_time, CAST(raw AS JSON) -> '$.startChildWorkflowExecutionInitiatedEventAttributes' AS a
    FROM event WHERE event_type = 'StartChildWorkflowExecutionInitiated'
),
later AS (
    SELECT
        run, event_id, event_time, event_type,
        CAST(raw AS JSON) -> ('$.' || lower(event_type[1]) || substr(event_type, 2) || 'EventAttributes') AS a
    FROM event
    WHERE event_type = 'StartChildWorkflowExecutionFailed' OR event_type LIKE 'ChildWorkflowExecution%'
),
closed AS (
    SELECT
        *,
        CASE event_type WHEN 'StartChildWorkflowExecutionFailed' THEN 'StartFailed' ELSE substr(event_type, 23) END
            AS outcome
    FROM later WHERE event_type <> 'ChildWorkflowExecutionStarted'
)
SELECT
    run.run_key,
    initiated.a ->> '$.workflowId' AS workflow_id,
    started.a ->> '$.workflowExecution.runId' AS run_id,
    initiated.a ->> '$.workflowType.name' AS workflow_type,
    initiated.event_id AS initiated_event_id,
    started.event_id AS started_event_id,
    closed.event_id AS closed_event_id,
    coalesce(closed.outcome, CASE WHEN started.event_id IS NULL THEN 'Initiated' ELSE 'Started' END) AS outcome,
    initiated.event_time AS initiated_at,
    started.event_time AS started_at,
    closed.event_time AS closed_at,
    payload_values(initiated.a -> '$.input') AS input,
    payload_values(closed.a -> '$.result') AS result,
    closed.a -> '$.failure' AS failure
FROM initiated
JOIN run ON run.id = initiated.run
LEFT JOIN later AS started ON started.run = initiated.run
    AND started.event_type = 'ChildWorkflowExecutionStarted'
    AND TRY_CAST(started.a ->> '$.initiatedEventId' AS INTEGER) = initiated.event_id
LEFT JOIN closed ON closed.run = initiated.run
    AND TRY_CAST(closed.a ->> '$.initiatedEventId' AS INTEGER) = initiated.event_id;

CREATE VIEW markers AS
SELECT
    run.run_key,
    event_id,
    event_time AS at,
    CAST(raw AS JSON) ->> '$.markerRecordedEventAttributes.markerName' AS name,
    CAST(raw AS JSON) -> '$.markerRecordedEventAttributes.details' AS details,
    CAST(raw AS JSON) -> '$.markerRecordedEventAttributes.failure' AS failure
FROM event JOIN run ON run.id = event.run
WHERE event_type = 'MarkerRecorded';

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
completed AS (
    SELECT run, event_id, event_time, build_id,
        lag(build_id) OVER (PARTITION BY run ORDER BY event_id) AS before
    FROM event WHERE event_type = 'WorkflowTaskCompleted' AND build_id IS NOT NULL
),
entered AS (
    SELECT *, row_number() OVER (PARTITION BY run, build_id ORDER BY event_id) AS ordinal
    FROM completed WHERE before IS DISTINCT FROM build_id
)
SELECT run.run_key, entered.build_id, entered.event_id, entered.ordinal, entered.event_time AS at
FROM entered JOIN run ON run.id = entered.run;

CREATE VIEW verdicts AS
SELECT
    run_key, code_fingerprint, verdict, reason, engine, confirmed_by, event_id, CAST(detail AS JSON) AS detail, seconds,
    checked_at
FROM verdict;

CREATE VIEW problems AS
SELECT run.run_key, problem.code, problem.message, problem.event_id
FROM problem JOIN run ON run.id = problem.run;
