"""Build activations: the jobs in sdk-core's order, and the facts that an activation carries beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.bridge.proto.common import WorkerDeploymentVersion
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob

from replaytool.engines.temporal.core.initialize_job import to_timestamp
from replaytool.engines.temporal.core.sdk_flags import ObservedFlags
from replaytool.engines.temporal.events.event_structs import TaskStarted

_RANKS = {
    "initialize_workflow": 0,
    "notify_has_patch": 1,
    "update_random_seed": 2,
    "signal_workflow": 3,
    "do_update": 3,
}
_OTHERS, _LOCAL = 4, 5
_FIELDS = WorkflowActivation.DESCRIPTOR.fields_by_name
_TELLS_SDK_VERSION = "last_sdk_version" in _FIELDS
_NOT_DEPLOYED = WorkerDeploymentVersion()


class ReplayPosition(Protocol):
    """What an activation says about the state of the replay."""

    run_id: str
    now: int | None
    replaying: bool
    last_id: int
    flags: ObservedFlags


@dataclass(slots=True)
class LightActivation:
    """The attributes that a workflow instance reads of an activation. Cheaper than the proto: it copies no job."""

    run_id: str
    timestamp: Timestamp
    is_replaying: bool
    history_length: int
    jobs: list[WorkflowActivationJob]
    available_internal_flags: Sequence[int]
    deployment_version_for_current_task: WorkerDeploymentVersion
    last_sdk_version: str = ""
    history_size_bytes: int = 0
    continue_as_new_suggested: bool = False
    target_worker_deployment_version_changed: bool = False
    suggest_continue_as_new_reasons: list[int] = field(default_factory=list)


class ActivationBuilder:
    """Builds the activations of one run."""

    def __init__(self, own_build: Callable[[], str]) -> None:
        self._own_build = own_build
        """The build ID of the code under test. It runs once the history ends."""
        self._deployed: tuple[tuple[str, str] | None, WorkerDeploymentVersion | None] = (None, None)
        self.is_brief = False
        """Whether a light activation is enough. The first one must be a proto: the instance is created from it."""

    def build_activation(
        self, at: ReplayPosition, jobs: list[WorkflowActivationJob], task: TaskStarted | None
    ) -> WorkflowActivation:
        """Build the activation for these jobs; `task` is the newest started workflow task."""
        if len(jobs) > 1:
            jobs.sort(key=_job_rank)
        light = cast(WorkflowActivation, self._build_light_activation(at, jobs)) if self.is_brief else None
        activation = light or self._build_proto_activation(at, jobs)
        if _TELLS_SDK_VERSION:
            activation.last_sdk_version = at.flags.sdk_version
        if task is not None:
            _add_history_sizes(activation, task)
        return activation

    def _build_light_activation(self, at: ReplayPosition, jobs: list[WorkflowActivationJob]) -> LightActivation:
        deployed = self._deployment_version(at) or _NOT_DEPLOYED
        return LightActivation(
            at.run_id, to_timestamp(at.now or 0), at.replaying, at.last_id, jobs, at.flags.lang, deployed
        )

    def _build_proto_activation(self, at: ReplayPosition, jobs: list[WorkflowActivationJob]) -> WorkflowActivation:
        return WorkflowActivation(
            run_id=at.run_id,
            timestamp=to_timestamp(at.now) if at.now is not None else None,
            is_replaying=at.replaying,
            history_length=at.last_id,
            jobs=jobs,
            available_internal_flags=at.flags.lang,
            deployment_version_for_current_task=self._deployment_version(at),
        )

    def _deployment_version(self, at: ReplayPosition) -> WorkerDeploymentVersion | None:
        if not at.replaying:
            at.flags.deployment = ("", self._own_build())
        found = at.flags.deployment
        if found is not None and found != self._deployed[0]:
            self._deployed = (found, WorkerDeploymentVersion(deployment_name=found[0], build_id=found[1]))
        return self._deployed[1]


def _add_history_sizes(activation: WorkflowActivation, task: TaskStarted) -> None:
    """Copy what the newest started task says about the size of the history."""
    if task.history_size_bytes > 0:
        activation.history_size_bytes = task.history_size_bytes
    if task.suggest_continue_as_new:
        activation.continue_as_new_suggested = True
    if task.target_worker_deployment_version_changed and "target_worker_deployment_version_changed" in _FIELDS:
        activation.target_worker_deployment_version_changed = True
    if task.suggest_continue_as_new_reasons and "suggest_continue_as_new_reasons" in _FIELDS:
        found = [_continue_as_new_reason(name) for name in task.suggest_continue_as_new_reasons]
        activation.suggest_continue_as_new_reasons.extend(found)


def _continue_as_new_reason(name: str) -> Any:  # an enum that only newer releases have
    kind = _FIELDS["suggest_continue_as_new_reasons"].enum_type
    known = kind.values_by_name if kind is not None else {}
    return known[name].number if name in known else 0


def _job_rank(job: WorkflowActivationJob) -> int:
    kind = job.WhichOneof("variant")
    if kind == "resolve_activity" and job.resolve_activity.is_local:
        return _LOCAL
    return _RANKS.get(kind or "", _OTHERS)
