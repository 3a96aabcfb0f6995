"""The child process that replays one run with one code, and answers questions about it until nobody asks any more."""

from __future__ import annotations

import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import msgspec

from replaytool.debug.process.messages import (
    Asking,
    At,
    Cancel,
    Digests,
    Evaluate,
    Evaluated,
    LineFound,
    LineOf,
    Open,
    ReadFile,
    Reply,
    States,
)
from replaytool.engines import Code, Options
from replaytool.model.debug_state import Moment, Trouble
from replaytool.replay.inspect_state.expressions import parse
from replaytool.workers.worker_main import Setup, bound, loaded, receive, run_child, send

_EVERY = 0.1
_LARGEST_FILE = 4_000_000


class _Cancelled(Exception):
    """Nobody waits for the answer any more."""


def main() -> None:
    """Serve one walk."""
    run_child(_serve)


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    setup: Setup = receive(requests, Setup)[0]
    code = loaded(setup, answers)
    if code is None:
        return
    bound(setup.memory)
    sys.setswitchinterval(0.001)  # the thread that reads must hear of a cancel while the replay is busy
    child = _Child(code, Options(**setup.options), answers)
    threading.Thread(target=child.listen, args=(requests,), daemon=True).start()
    child.work()


class _Child:
    """The one run, and what is to be answered about it."""

    def __init__(self, code: Code, options: Options, answers: IO[bytes]) -> None:
        self._code, self._options, self._answers = code, options, answers
        self._asked: SimpleQueue[tuple[Asking, bytes] | None] = SimpleQueue()
        self._cancelled = 0
        self._number = 0
        self._told = 0.0
        self._walked: Any = None

    def listen(self, requests: IO[bytes]) -> None:
        """Take in questions while others are being answered; who cancels must not have to wait."""
        try:
            while True:
                asking, history = receive(requests, Asking)
                if isinstance(asking.what, Cancel):
                    self._cancelled = asking.what.number
                else:
                    self._asked.put((asking, history))
        except (EOFError, OSError):
            self._cancelled = sys.maxsize
            self._asked.put(None)

    def work(self) -> None:
        """Answer one question after the other."""
        while (given := self._asked.get()) is not None:
            asking, history = given
            self._number = asking.number
            send(self._answers, self._reply(asking, history))

    def _reply(self, asking: Asking, history: bytes) -> Reply:
        try:
            answer = _ANSWERS[type(asking.what)](self, asking.what, history)
            return Reply(asking.number, answer=msgspec.Raw(msgspec.json.encode(answer)))
        except _Cancelled:
            return Reply(asking.number, trouble=Trouble("cancelled", "cancelled"))
        except OSError as error:
            return Reply(asking.number, trouble=Trouble("no code", str(error)))
        except MemoryError:
            return Reply(asking.number, trouble=Trouble("crashed", "the code ran out of memory"))
        except Exception as error:  # whatever it is, the next question may do better
            place = " | ".join(traceback.format_exc().strip().splitlines()[-3:])
            what = f"a fault of replaytool itself: {type(error).__name__}: {error} ({place})"
            return Reply(asking.number, trouble=Trouble("unverified", what))

    def _tell(self, events: int) -> None:
        if self._cancelled >= self._number:
            raise _Cancelled
        now = time.monotonic()
        if now - self._told > _EVERY:
            self._told = now
            send(self._answers, Reply(self._number, events=events))

    def _open(self, what: Open, history: bytes) -> bool:
        from replaytool.engines.temporal.debug.run_states import RunStates
        from replaytool.engines.temporal.replay.recorded_commands import from_bytes

        self._walked = RunStates(from_bytes(what.run, history), self._code, self._options, what.builds, self._tell)
        self._walked.record_states()
        return True

    def _at(self, what: At, history: bytes) -> Moment:
        moment: Moment = self._walked.moment_at(what.event_id)
        return moment

    def _evaluate(self, what: Evaluate, history: bytes) -> Evaluated:
        return Evaluated(self._walked.evaluate_at_events(parse(what.text)), self._walked.trouble)

    def _line_of(self, what: LineOf, history: bytes) -> LineFound:
        return LineFound(*self._walked.find_changing_line(parse(what.text), what.task_event_id, truth=what.truth))

    def _states(self, what: States, history: bytes) -> Digests:
        return Digests([(event_id, zlib.crc32(state)) for event_id, state in self._walked.encode_states()])

    def _read_file(self, what: ReadFile, history: bytes) -> str:
        """Only files of the code: a name may come from anywhere."""
        path = Path(what.file).resolve()
        modules = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
        is_own = any(path.is_relative_to(root) for root in self._code.roots) and path.suffix == ".py"
        if not (is_own or str(path) in modules):
            raise FileNotFoundError(f"{what.file} is no file of this code")
        return path.read_bytes()[:_LARGEST_FILE].decode("utf-8", "replace")


_ANSWERS: dict[type, Callable[[_Child, Any, bytes], Any]] = {
    Open: _Child._open,
    At: _Child._at,
    Evaluate: _Child._evaluate,
    LineOf: _Child._line_of,
    States: _Child._states,
    ReadFile: _Child._read_file,
}
