"""An activation put together: the jobs in the order that workflows are promised, and what is known around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.bridge.proto.common import WorkerDeploymentVersion
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob

from replaytool.engines.temporal.core.initialize_job import timestamp
from replaytool.engines.temporal.core.sdk_flags import Observed

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


class Situation(Protocol):
    """Where a replay stands."""

    run_id: str
    now: int | None
    replaying: bool
    last_id: int
    flags: Observed


@dataclass(slots=True)
class Brief:
    """What an instance reads of an activation: no message is filled, and no job is copied into it."""

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


class Teller:
    """Makes the activations of one run."""

    def __init__(self, own_build: Callable[[], str]) -> None:
        self._own_build = own_build
        """The build of the code at hand: it is what runs once the record is at its end."""
        self._deployed: tuple[tuple[str, str] | None, WorkerDeploymentVersion | None] = (None, None)
        self.is_brief = False
        """Whether what is told is only looked at, and need not be a message: an instance is made from one."""

    def activation(self, at: Situation, jobs: list[WorkflowActivationJob], task: Any) -> Any:
        """What to tell the workflow."""
        if len(jobs) > 1:
            jobs.sort(key=_rank)
        activation = self._brief(at, jobs) if self.is_brief else self._whole(at, jobs)
        if _TELLS_SDK_VERSION:
            activation.last_sdk_version = at.flags.sdk_version
        if task is not None:
            _add_sizes(activation, task)
        return activation

    def _brief(self, at: Situation, jobs: list[WorkflowActivationJob]) -> Brief:
        deployed = self._deployment(at) or _NOT_DEPLOYED
        return Brief(at.run_id, timestamp(at.now or 0), at.replaying, at.last_id, jobs, at.flags.lang, deployed)

    def _whole(self, at: Situation, jobs: list[WorkflowActivationJob]) -> WorkflowActivation:
        return WorkflowActivation(
            run_id=at.run_id,
            timestamp=timestamp(at.now) if at.now is not None else None,
            is_replaying=at.replaying,
            history_length=at.last_id,
            jobs=jobs,
            available_internal_flags=at.flags.lang,
            deployment_version_for_current_task=self._deployment(at),
        )

    def _deployment(self, at: Situation) -> WorkerDeploymentVersion | None:
        if not at.replaying:
            at.flags.deployment = ("", self._own_build())
        found = at.flags.deployment
        if found is not None and found != self._deployed[0]:
            self._deployed = (found, WorkerDeploymentVersion(deployment_name=found[0], build_id=found[1]))
        return self._deployed[1]


def _add_sizes(activation: Any, task: Any) -> None:
    """What the newest started task says about the history's growth."""
    if task.history_size_bytes > 0:
        activation.history_size_bytes = task.history_size_bytes
    if task.suggest_continue_as_new:
        activation.continue_as_new_suggested = True
    if task.target_worker_deployment_version_changed and "target_worker_deployment_version_changed" in _FIELDS:
        activation.target_worker_deployment_version_changed = True
    if task.suggest_continue_as_new_reasons and "suggest_continue_as_new_reasons" in _FIELDS:
        found = [_reason(name) for name in task.suggest_continue_as_new_reasons]
        activation.suggest_continue_as_new_reasons.extend(found)


def _reason(name: str) -> Any:
    kind = _FIELDS["suggest_continue_as_new_reasons"].enum_type
    known = kind.values_by_name if kind is not None else {}
    return known[name].number if name in known else 0


def _rank(job: WorkflowActivationJob) -> int:
    kind = job.WhichOneof("variant")
    if kind == "resolve_activity" and job.resolve_activity.is_local:
        return _LOCAL
    return _RANKS.get(kind or "", _OTHERS)
