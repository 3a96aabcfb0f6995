"""The tools that a client sees: one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from replaytool.errors import ReplaytoolError
from replaytool.mcp_server import checking, debugging, looking
from replaytool.mcp_server.answers import DEFAULT_TOKENS, Answer, write_answer
from replaytool.mcp_server.desk import Desk, Given


@dataclass(frozen=True, slots=True)
class Tool:
    """What a client reads of a tool, and what answers it."""

    description: str
    answer: Callable[[Desk, Given], Answer]
    required: Mapping[str, str] = field(default_factory=dict)
    """The arguments that each call gives, with their descriptions."""
    optional: Mapping[str, str] = field(default_factory=dict)
    runs_code: bool = False


_RUN = {"run": "run key, workflow ID or run ID"}
_CODE = {
    "workflows": "workflow code, files or modules with commas; without it, what the project configures",
    "builds": "code of each build for histories of several builds: v1=old/wf.py,v2=wf.py",
}
_CHECK = {**_CODE, "where": "SQL condition on the view runs", "histories": "files or folders; without it, the store"}
_BASE = {"base": "branch or commit to compare with, such as main"}

TOOLS: Mapping[str, Tool] = {
    "check": Tool(
        "Replay the recorded runs with the code: which break, at which line, and why. With base: only what is new.",
        checking.check_code, optional={**_BASE, **_CHECK}, runs_code=True,
    ),
    "explain": Tool(
        "Why one run diverges: both sides, the line, what to do.", checking.explain_run, _RUN, _CODE, runs_code=True
    ),
    "guilty": Tool(
        "Which edits since base break runs, proven by replaying subsets of the change.",
        checking.find_guilty_edits, _BASE, _CHECK, runs_code=True,
    ),
    "fix": Tool(
        "A diff that guards the guilty edits with workflow.patched, proven by replays. Writes no file.",
        checking.propose_fix, _BASE, _CHECK, runs_code=True,
    ),
    "patches": Tool(
        "Which patch may be deprecated or deleted, proven by replaying the open runs with its calls changed.",
        checking.judge_patches, optional={**_CHECK, "patch": "only this ID", "type": "workflow type"}, runs_code=True,
    ),
    "state": Tool(
        "The workflow's state, variables and waiting line after an event.",
        debugging.show_state, {**_RUN, "event": "event ID"}, _CODE, runs_code=True,
    ),
    "find": Tool(
        "The first event at which a Python expression over the state is true: in one run, or in all of them.",
        debugging.find_state, {"expression": "such as points == 0 and trips"},
        {**_RUN, "where": "SQL condition on the view runs", **_CODE}, runs_code=True,
    ),
    "blame": Tool(
        "The event, build and line that last changed a value of the state.",
        debugging.blame_value, {**_RUN, "path": "such as points or cart.items[0]"}, _CODE, runs_code=True,
    ),
    "simulate": Tool(
        "What if: continue a run from an event with this code or edited events.",
        debugging.simulate_run, _RUN,
        {
            "workflows": _CODE["workflows"], "from": "event ID", "set": "event:12.result=VALUE, with commas",
            "drop": "event:30", "insert": "signal:NAME=VALUE",
        },
        runs_code=True,
    ),
    "plan_reset": Tool(
        "Which workflows a reset would touch, and what is executed again. Writes nothing, resets nothing.",
        debugging.plan_reset,
        optional={
            "build": "reset to before this build", "event": "or to before this event",
            "before_activity": "or to before this activity type",
            "first_task": "true", "where": "SQL condition on the view runs",
            "workflows": "code, to replay what is kept and to simulate the rest",
        },
        runs_code=True,
    ),
    "runs": Tool(
        "The loaded runs.", looking.list_runs,
        optional={
            "where": "SQL condition on the view runs", "type": "workflow type", "status": "Running, Completed, …",
            "build": "a build that took part", "verdict": "of the last check",
        },
    ),
    "show": Tool("The events of a run, or one event in full.", looking.show_run, _RUN, {"event": "event ID"}),
    "diff": Tool("What two runs did differently.", looking.compare_runs, {"left": _RUN["run"], "right": _RUN["run"]}),
    "builds": Tool("The builds that ran tasks or activities, and when.", looking.list_builds),
    "sql": Tool(
        "A read-only query (DuckDB). Views: runs, events, activities, signals, updates, timers, children, builds, "
        "verdicts, problems; DESCRIBE runs lists columns.",
        looking.query_store, {"query": "SQL"},
    ),
}  # fmt: skip
PAGING: Mapping[str, str] = {"page": "page of the answer, from 1", "tokens": f"room for it (default {DEFAULT_TOKENS})"}


def call_tool(name: str, arguments: Mapping[str, object], desk: Desk) -> tuple[str, bool]:
    """Return the text of an answer, and whether it is an error."""
    tool = TOOLS.get(name)
    if tool is None:
        return f"There is no tool of this name. There are: {', '.join(TOOLS)}.", True
    known = {*tool.required, *tool.optional, *PAGING}
    given = {key: str(value) for key, value in arguments.items() if key in known and value not in (None, "")}
    missing = [key for key in tool.required if key not in given]
    unknown = sorted(set(arguments) - known)
    if missing or unknown:
        wrong = f"missing: {', '.join(missing)}" if missing else "unknown arguments"
        return f"{wrong}. {name} takes: {', '.join([*tool.required, *tool.optional, *PAGING])}.", True
    page, tokens = _read_number(given.pop("page", "1"), 1), _read_number(given.pop("tokens", ""), DEFAULT_TOKENS)
    try:
        answer = tool.answer(desk, given)
    except ReplaytoolError as error:
        return f"Not allowed: {error.message}. {error.hint}.", True
    return write_answer(answer, page, tokens), answer.is_error


def _read_number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise
