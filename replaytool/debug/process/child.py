"""The child process that replays one run with one code and answers questions about it."""

from __future__ import annotations

import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

import msgspec

from replaytool.debug.process.messages import (
    CancelQuestions,
    DebugReply,
    DigestStates,
    EvaluatedSteps,
    EvaluateExpression,
    FindLine,
    LineFound,
    NumberedQuestion,
    OpenRun,
    ReadFile,
    StateAt,
    StateDigests,
)
from replaytool.engines import Code, Options, engine_of, read_history, require_part
from replaytool.model.debug_state import ReplayedState, Trouble
from replaytool.replay.inspect_state.expressions import parse_expression
from replaytool.workers.worker_main import (
    WorkerSetup,
    limit_memory,
    load_and_announce,
    receive_message,
    send_message,
    serve_pipes,
)

if TYPE_CHECKING:
    from replaytool.engines.base import RecordedStates

_EVERY = 0.1
_LARGEST_FILE = 4_000_000


class _QuestionCancelled(Exception):
    """The caller has cancelled the question."""


def run_debug_process() -> None:
    """Serve the questions of one debug session."""
    serve_pipes(_serve_questions)


def _serve_questions(requests: IO[bytes], answers: IO[bytes]) -> None:
    setup = receive_message(requests, WorkerSetup)[0]
    code = load_and_announce(setup, answers)
    if code is None:
        return
    limit_memory(setup.memory)
    sys.setswitchinterval(0.001)  # the reading thread must get a cancel while the replay is busy
    child = _DebugServer(code, Options(**setup.options), answers)
    threading.Thread(target=child.receive_questions, args=(requests,), daemon=True).start()
    child.answer_questions()


class _DebugServer:
    """Answers questions about one run."""

    def __init__(self, code: Code, options: Options, answers: IO[bytes]) -> None:
        self._code, self._options, self._answers = code, options, answers
        self._asked: SimpleQueue[tuple[NumberedQuestion, bytes] | None] = SimpleQueue()
        self._cancelled = 0
        self._number = 0
        self._told = 0.0
        self._run_states: RecordedStates | None = None

    def receive_questions(self, requests: IO[bytes]) -> None:
        """Receive questions while others are answered, so that a cancel takes effect at once."""
        try:
            while True:
                asking, history = receive_message(requests, NumberedQuestion)
                if isinstance(asking.what, CancelQuestions):
                    self._cancelled = asking.what.number
                else:
                    self._asked.put((asking, history))
        except (EOFError, OSError):
            self._cancelled = sys.maxsize
            self._asked.put(None)

    def answer_questions(self) -> None:
        """Answer one question after the other."""
        while (given := self._asked.get()) is not None:
            asking, history = given
            self._number = asking.number
            send_message(self._answers, self._make_reply(asking, history))

    def _make_reply(self, asking: NumberedQuestion, history: bytes) -> DebugReply:
        try:
            answer = _ANSWERS[type(asking.what)](self, asking.what, history)
            return DebugReply(asking.number, answer=msgspec.Raw(msgspec.json.encode(answer)))
        except _QuestionCancelled:
            return DebugReply(asking.number, trouble=Trouble("cancelled", "cancelled"))
        except OSError as error:
            return DebugReply(asking.number, trouble=Trouble("no code", str(error)))
        except MemoryError:
            return DebugReply(asking.number, trouble=Trouble("crashed", "the code ran out of memory"))
        except Exception as error:  # it concerns this question only
            place = " | ".join(traceback.format_exc().strip().splitlines()[-3:])
            what = f"internal error of replaytool: {type(error).__name__}: {error} ({place})"
            return DebugReply(asking.number, trouble=Trouble("unverified", what))

    def _report_progress(self, events: int) -> None:
        if self._cancelled >= self._number:
            raise _QuestionCancelled
        now = time.monotonic()
        if now - self._told > _EVERY:
            self._told = now
            send_message(self._answers, DebugReply(self._number, events=events))

    def _open_run(self, what: OpenRun, history: bytes) -> bool:
        engine = engine_of(what.run.engine)
        make_states = require_part(engine, engine.state_recorder(), "debugged with code")
        code = self._code.for_run(what.run)
        run = read_history(what.run, history)
        self._run_states = make_states(run, code, self._options, what.builds, self._report_progress)
        self._run_states.record_states()
        return True

    @property
    def _replayed_states(self) -> RecordedStates:
        assert self._run_states is not None, "the first question must be Open"
        return self._run_states

    def _state_at(self, what: StateAt, history: bytes) -> ReplayedState:
        return self._replayed_states.moment_at(what.event_id)

    def _evaluate_at_steps(self, what: EvaluateExpression, history: bytes) -> EvaluatedSteps:
        return EvaluatedSteps(
            self._replayed_states.evaluate_at_events(parse_expression(what.text)), self._replayed_states.trouble
        )

    def _find_line(self, what: FindLine, history: bytes) -> LineFound:
        return LineFound(
            *self._replayed_states.find_changing_line(parse_expression(what.text), what.task_event_id, truth=what.truth)
        )

    def _digest_states(self, what: DigestStates, history: bytes) -> StateDigests:
        return StateDigests(
            [(event_id, zlib.crc32(state)) for event_id, state in self._replayed_states.encode_states()]
        )

    def _read_file(self, what: ReadFile, history: bytes) -> str:
        """Return a file of the code, and no other file: the name may come from outside."""
        path = Path(what.file).resolve()
        modules = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
        is_own = any(path.is_relative_to(root) for root in self._code.roots) and path.suffix == ".py"
        if not (is_own or str(path) in modules):
            raise FileNotFoundError(f"{what.file} is not a file of this code")
        return path.read_bytes()[:_LARGEST_FILE].decode("utf-8", "replace")


_ANSWERS: dict[type, Callable[[_DebugServer, Any, bytes], object]] = {
    OpenRun: _DebugServer._open_run,
    StateAt: _DebugServer._state_at,
    EvaluateExpression: _DebugServer._evaluate_at_steps,
    FindLine: _DebugServer._find_line,
    DigestStates: _DebugServer._digest_states,
    ReadFile: _DebugServer._read_file,
}
