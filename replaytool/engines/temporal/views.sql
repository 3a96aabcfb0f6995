-- What the views of Temporal's runs are made of. The store reads this file and unites it with the steps of other
-- engines: each view here has the columns of the public view of the same name in store/views.sql.
-- Names are written out (main.event), so that the views work in a store that is attached under any name.

-- A recorded value as SQL can use it: JSON where it is JSON, text where it is text, else what it is and how long.
CREATE MACRO main.payload_value(payload) AS
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

CREATE MACRO main.payload_values(payloads) AS
    to_json(list_transform(TRY_CAST(payloads -> '$.payloads' AS JSON[]), lambda payload: main.payload_value(payload)));

CREATE VIEW engine_temporal.activities AS
WITH
scheduled AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.activityTaskScheduledEventAttributes' AS a
    FROM main.event WHERE event_type = 'ActivityTaskScheduled'
),
started AS (
    SELECT
        run, event_id, event_time, build_id,
        TRY_CAST(CAST(raw AS JSON) ->> '$.activityTaskStartedEventAttributes.scheduledEventId' AS INTEGER) AS scheduled_id,
        TRY_CAST(CAST(raw AS JSON) ->> '$.activityTaskStartedEventAttributes.attempt' AS INTEGER) AS attempt
    FROM main.event WHERE event_type = 'ActivityTaskStarted'
),
closed AS (
    SELECT
        run, event_id, event_time, substr(event_type, 13) AS outcome,
        CAST(raw AS JSON) -> ('$.activityTask' || substr(event_type, 13) || 'EventAttributes') AS a
    FROM main.event
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
    main.payload_values(scheduled.a -> '$.input') AS input,
    main.payload_values(closed.a -> '$.result') AS result,
    closed.a -> '$.failure' AS failure
FROM scheduled
JOIN main.run ON run.id = scheduled.run
LEFT JOIN started ON started.run = scheduled.run AND started.scheduled_id = scheduled.event_id
LEFT JOIN closed ON closed.run = scheduled.run
    AND TRY_CAST(closed.a ->> '$.scheduledEventId' AS INTEGER) = scheduled.event_id;

CREATE VIEW engine_temporal.tasks AS
WITH
closed AS (
    SELECT
        run, event_id, build_id, substr(event_type, 13) AS outcome,
        CAST(raw AS JSON) -> ('$.workflowTask' || substr(event_type, 13) || 'EventAttributes') AS a
    FROM main.event WHERE event_type IN ('WorkflowTaskCompleted', 'WorkflowTaskFailed', 'WorkflowTaskTimedOut')
),
started AS (
    SELECT
        run, event_id, build_id,
        CAST(raw AS JSON) -> '$.workflowTaskStartedEventAttributes' AS a
    FROM main.event WHERE event_type = 'WorkflowTaskStarted'
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
FROM main.event AS scheduled
JOIN main.run ON run.id = scheduled.run
LEFT JOIN started ON started.run = scheduled.run
    AND TRY_CAST(started.a ->> '$.scheduledEventId' AS INTEGER) = scheduled.event_id
LEFT JOIN closed ON closed.run = scheduled.run
    AND TRY_CAST(closed.a ->> '$.scheduledEventId' AS INTEGER) = scheduled.event_id
WHERE scheduled.event_type = 'WorkflowTaskScheduled';

CREATE VIEW engine_temporal.signals AS
SELECT
    run.run_key,
    event_id,
    event_time AS at,
    CAST(raw AS JSON) ->> '$.workflowExecutionSignaledEventAttributes.signalName' AS name,
    main.payload_values(CAST(raw AS JSON) -> '$.workflowExecutionSignaledEventAttributes.input') AS input,
    CAST(raw AS JSON) ->> '$.workflowExecutionSignaledEventAttributes.identity' AS identity
FROM main.event JOIN main.run ON run.id = event.run
WHERE event_type = 'WorkflowExecutionSignaled';

CREATE VIEW engine_temporal.updates AS
WITH
accepted AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.workflowExecutionUpdateAcceptedEventAttributes' AS a
    FROM main.event WHERE event_type = 'WorkflowExecutionUpdateAccepted'
),
admitted AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.workflowExecutionUpdateAdmittedEventAttributes' AS a
    FROM main.event WHERE event_type = 'WorkflowExecutionUpdateAdmitted'
),
completed AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.workflowExecutionUpdateCompletedEventAttributes' AS a
    FROM main.event WHERE event_type = 'WorkflowExecutionUpdateCompleted'
)
SELECT
    run.run_key,
    accepted.a ->> '$.protocolInstanceId' AS update_id,
    coalesce(accepted.a ->> '$.acceptedRequest.input.name', admitted.a ->> '$.request.input.name') AS name,
    main.payload_values(
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
    main.payload_values(completed.a -> '$.outcome.success') AS result,
    completed.a -> '$.outcome.failure' AS failure
FROM accepted
JOIN main.run ON run.id = accepted.run
LEFT JOIN admitted ON admitted.run = accepted.run
    AND (admitted.a ->> '$.request.meta.updateId') = (accepted.a ->> '$.protocolInstanceId')
LEFT JOIN completed ON completed.run = accepted.run
    AND TRY_CAST(completed.a ->> '$.acceptedEventId' AS INTEGER) = accepted.event_id;

CREATE VIEW engine_temporal.timers AS
WITH closed AS (
    SELECT
        run, event_id, event_time, substr(event_type, 6) AS outcome,
        TRY_CAST(CAST(raw AS JSON) ->> ('$.timer' || substr(event_type, 6) || 'EventAttributes.startedEventId') AS INTEGER)
            AS started_id
    FROM main.event WHERE event_type IN ('TimerFired', 'TimerCanceled')
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
FROM main.event AS started
JOIN main.run ON run.id = started.run
LEFT JOIN closed ON closed.run = started.run AND closed.started_id = started.event_id
WHERE started.event_type = 'TimerStarted';

CREATE VIEW engine_temporal.children AS
WITH
initiated AS (
    SELECT
        run, event_id, event_time, CAST(raw AS JSON) -> '$.startChildWorkflowExecutionInitiatedEventAttributes' AS a
    FROM main.event WHERE event_type = 'StartChildWorkflowExecutionInitiated'
),
later AS (
    SELECT
        run, event_id, event_time, event_type,
        CAST(raw AS JSON) -> ('$.' || lower(event_type[1]) || substr(event_type, 2) || 'EventAttributes') AS a
    FROM main.event
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
    main.payload_values(initiated.a -> '$.input') AS input,
    main.payload_values(closed.a -> '$.result') AS result,
    closed.a -> '$.failure' AS failure
FROM initiated
JOIN main.run ON run.id = initiated.run
LEFT JOIN later AS started ON started.run = initiated.run
    AND started.event_type = 'ChildWorkflowExecutionStarted'
    AND TRY_CAST(started.a ->> '$.initiatedEventId' AS INTEGER) = initiated.event_id
LEFT JOIN closed ON closed.run = initiated.run
    AND TRY_CAST(closed.a ->> '$.initiatedEventId' AS INTEGER) = initiated.event_id;

CREATE VIEW engine_temporal.markers AS
SELECT
    run.run_key,
    event_id,
    event_time AS at,
    CAST(raw AS JSON) ->> '$.markerRecordedEventAttributes.markerName' AS name,
    CAST(raw AS JSON) -> '$.markerRecordedEventAttributes.details' AS details,
    CAST(raw AS JSON) -> '$.markerRecordedEventAttributes.failure' AS failure
FROM main.event JOIN main.run ON run.id = event.run
WHERE event_type = 'MarkerRecorded';

-- Tasks that a reset can go back to, with the build that completed each.
CREATE VIEW engine_temporal.reset_candidates AS
SELECT run, event_id, event_time AS at, build_id
FROM main.event WHERE event_type = 'WorkflowTaskCompleted' AND build_id IS NOT NULL;

-- What says which build a run is pinned to: its completed tasks, and the overrides of its versioning.
CREATE VIEW engine_temporal.pin_facts AS
SELECT
    run, event_id,
    CASE event_type WHEN 'WorkflowTaskCompleted' THEN 'task' ELSE 'override' END AS kind,
    CASE event_type
        WHEN 'WorkflowTaskCompleted' THEN CAST(raw AS JSON) ->> '$.workflowTaskCompletedEventAttributes'
        WHEN 'WorkflowExecutionStarted' THEN CAST(raw AS JSON) ->> '$.workflowExecutionStartedEventAttributes'
        ELSE CAST(raw AS JSON) ->> '$.workflowExecutionOptionsUpdatedEventAttributes'
    END AS content
FROM main.event
WHERE event_type = 'WorkflowTaskCompleted' OR (
    event_type IN ('WorkflowExecutionOptionsUpdated', 'WorkflowExecutionStarted') AND contains(raw, 'ersioningOverride')
);

CREATE VIEW engine_temporal.steps AS
WITH
opened AS (
    SELECT run, event_id, event_time, CAST(raw AS JSON) -> '$.nexusOperationScheduledEventAttributes' AS a
    FROM main.event WHERE event_type = 'NexusOperationScheduled'
),
later AS (
    SELECT
        run, event_id, event_time, substr(event_type, 15) AS outcome,
        CAST(raw AS JSON) -> ('$.nexusOperation' || substr(event_type, 15) || 'EventAttributes') AS a
    FROM main.event
    WHERE event_type IN (
        'NexusOperationStarted', 'NexusOperationCompleted', 'NexusOperationFailed', 'NexusOperationCanceled',
        'NexusOperationTimedOut'
    )
),
nexus AS (
    SELECT
        run.run_key, opened.a, opened.event_id, closed.event_id AS closed_event_id,
        coalesce(closed.outcome, CASE WHEN started.event_id IS NULL THEN 'Scheduled' ELSE 'Started' END) AS outcome,
        opened.event_time AS scheduled_at, started.event_time AS started_at, closed.event_time AS closed_at,
        main.payload_value(closed.a -> '$.result') AS result, closed.a -> '$.failure' AS failure
    FROM opened
    JOIN main.run ON run.id = opened.run
    LEFT JOIN later AS started ON started.run = opened.run AND started.outcome = 'Started'
        AND TRY_CAST(started.a ->> '$.scheduledEventId' AS INTEGER) = opened.event_id
    LEFT JOIN later AS closed ON closed.run = opened.run AND closed.outcome <> 'Started'
        AND TRY_CAST(closed.a ->> '$.scheduledEventId' AS INTEGER) = opened.event_id
),
local AS (
    SELECT
        run_key, event_id, "at", failure, main.payload_values(details -> '$.result') AS result,
        main.payload_values(details -> '$.data') -> '$[0]' AS a
    FROM engine_temporal.markers WHERE name = 'core_local_activity'
)
SELECT
    run_key, activity_id AS step_id, 'activity' AS kind, activity_type AS name, scheduled_event_id AS event_id,
    closed_event_id, outcome, attempt, scheduled_at, started_at, closed_at, build_id, input, result, failure
FROM engine_temporal.activities
UNION ALL BY NAME
SELECT
    run_key, timer_id AS step_id, 'timer' AS kind, started_event_id AS event_id, closed_event_id, outcome,
    started_at AS scheduled_at, started_at, closed_at, to_json(duration) AS input
FROM engine_temporal.timers
UNION ALL BY NAME
SELECT
    run_key, workflow_id AS step_id, 'child' AS kind, workflow_type AS name, initiated_event_id AS event_id,
    closed_event_id, outcome, initiated_at AS scheduled_at, started_at, closed_at, input, result, failure
FROM engine_temporal.children
UNION ALL BY NAME
SELECT
    run_key, a ->> '$.activity_id' AS step_id, 'local' AS kind, a ->> '$.activity_type' AS name, event_id,
    event_id AS closed_event_id, CASE WHEN failure IS NULL THEN 'Completed' ELSE 'Failed' END AS outcome,
    TRY_CAST(a ->> '$.attempt' AS INTEGER) AS attempt, "at" AS closed_at, result, failure
FROM local
UNION ALL BY NAME
SELECT
    run_key, CAST(event_id AS VARCHAR) AS step_id, 'nexus' AS kind, a ->> '$.operation' AS name, event_id,
    closed_event_id, outcome, scheduled_at, started_at, closed_at, main.payload_value(a -> '$.input') AS input, result,
    failure
FROM nexus;
