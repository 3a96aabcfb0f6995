"""Judge code that the SDK's sandbox refuses before it runs: a worker with it does not start, or fails every task."""

from __future__ import annotations

import os
import traceback

from temporalio.worker import workflow_sandbox

from replaytool.engines.temporal.sdk.sandbox_check import find_sandbox_refusal
from replaytool.model.history import Run
from replaytool.model.verdict import Failure, Verdict
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.options import OFF, Options

_SANDBOX = os.path.dirname(workflow_sandbox.__file__)
NO_INSTANCE = "the SDK cannot make an instance of the workflow"
_WAY_OUT = (
    "import what the workflow may use inside `with workflow.unsafe.imports_passed_through():`, or, if your worker runs "
    "without the sandbox, return workflow_runner=UnsandboxedWorkflowRunner() from the `replayer` function"
)


def refuse_sandboxed_code(run: Run, code: Code, options: Options, engine: str) -> Verdict | None:
    """Return `failed` if the sandbox refuses the run's workflow class, as making a worker would; else None."""
    if options.sandbox == OFF:
        return None
    kind = code.workflow_class(run.workflow_type)
    error = find_sandbox_refusal(code, kind, refuse_effects=options.guard)
    if error is None:
        return None
    return judge_refusal(error, f"the SDK's sandbox refuses workflow {run.workflow_type}, and no worker starts", engine)


def judge_refusal(error: BaseException, what: str, engine: str) -> Verdict:
    """Return `failed` with the sandbox's message, the user's line that it is about, and the way out."""
    site = callsite.site_of_exception(error)
    at = "" if site is None else f" at {site.file}:{site.line}"
    message = (str(error) or type(error).__name__).rstrip(".") + (f"; {_WAY_OUT}" if _comes_from_sandbox(error) else "")
    failure = Failure(1, type(error).__name__, message, site, callsite.user_traceback(error))
    reason = f"{what}{at}: {type(error).__name__}: {message}"
    return Verdict("failed", reason, engine=engine, failure=failure)


def _comes_from_sandbox(error: BaseException) -> bool:
    return any(_SANDBOX in frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
