"""Replaying runs from the screens: which code, how far it is, and a way to stop it."""

from __future__ import annotations

import shlex
import threading
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input, Label, ProgressBar

from replaytool.errors import ReplaytoolError
from replaytool.tui.desk import away
from replaytool.tui.dialogs import Dialog
from replaytool.tui.lines import cell
from replaytool.tui.verdict_panes import signed
from replaytool.verdict import WORDS, Report, Verdict

if TYPE_CHECKING:
    from replaytool.tui.app import ReplayApp

_TICK = 0.1


class Checking(Dialog[Report]):
    """Asks for the code, then shows how far the replays are. Closing it while they run stops them."""

    def __init__(self, run_keys: Sequence[str], code: str) -> None:
        super().__init__()
        self._keys, self._code = run_keys, code
        self._stop = threading.Event()
        self._counts: Counter[str] = Counter()
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """The code, a bar, and a line about it."""
        with Vertical(id="dialog") as box:
            box.border_title = f"Check {len(self._keys):,} runs"
            box.border_subtitle = "Enter starts, Esc closes"
            yield Label(Text("Workflow code: modules, files or folders", "dim"))
            yield Input(self._code, placeholder="app.workflows  or  path/to/workflows.py", id="code")
            yield ProgressBar(len(self._keys), show_eta=False, id="progress")
            yield Label(Text(""), id="said", markup=False)
            yield Label(Text(""), id="wrong", markup=False)

    def on_mount(self) -> None:
        """Nothing runs before Enter."""
        self.query_one("#progress").display = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Start."""
        if self._timer is None:
            self._complain("")
            self._run(event.value)

    @work(exclusive=True, group="check")
    async def _run(self, code: str) -> None:
        home = cast("ReplayApp", self.app)
        self._counts.clear()
        self._timer = self.set_interval(_TICK, self._tick)
        box = self.query_one("#dialog")
        box.border_subtitle = "Esc stops it"
        self.query_one("#progress").display = True
        try:
            names = shlex.split(code)
            report = await away(home.desk.check, self._keys, names, self._seen, self._stop)
        except (ReplaytoolError, ValueError) as error:
            self._timer.stop()
            self._timer = None
            box.border_subtitle = "Enter starts, Esc closes"
            hint = getattr(error, "hint", "")
            self._complain(f"✗ {cell(str(error), 500)}{'; ' if hint else ''}{cell(hint, 300)}")
            return
        home.remember(code=code)
        self.dismiss(report)

    def _seen(self, key: str, verdict: Verdict) -> None:
        """Called on the thread that checks."""
        self._counts[verdict.verdict] += 1

    def _tick(self) -> None:
        self.query_one(ProgressBar).update(progress=self._counts.total())
        said = ", ".join(f"{self._counts[word]:,} {signed(word)}" for word in WORDS if self._counts[word])
        loading = "stopping…" if self._stop.is_set() else said or "loading the code…"
        self.query_one("#said", Label).update(Text(loading))

    def _complain(self, text: str) -> None:
        self.query_one("#progress").display = False
        self.query_one("#said", Label).update(Text(""))
        self.query_one("#wrong", Label).update(Text(text))

    def action_close(self) -> None:
        """Stop what runs and keep what is known; nothing runs: close."""
        if self._timer is None:
            self.dismiss(None)
        else:
            self._stop.set()

    def on_unmount(self) -> None:
        """Nothing is left behind."""
        self._stop.set()


def summary(report: Report) -> str:
    """What came of it, in a line."""
    counts = report.summary()
    said = ", ".join(f"{counts[word]:,} {signed(word)}" for word in WORDS if counts[word]) or "nothing to check"
    return f"{said}, {report.seconds:.2f} s" if report.complete else f"stopped: {said} so far"
