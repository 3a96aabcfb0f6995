"""The base of dialogs that replay with workflow code: ask for the code, show progress, stop on Esc."""

from __future__ import annotations

import shlex
import threading
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input, Label, ProgressBar

from replaytool.errors import ReplaytoolError
from replaytool.tui.dialogs.prompts import Dialog
from replaytool.tui.session_worker import SessionWorker, run_in_thread
from replaytool.tui.styled_lines import cell_text

if TYPE_CHECKING:
    from replaytool.tui.app import ReplayApp

Result = TypeVar("Result")
_TICK = 0.1
_CLOSED = "Enter starts, Esc closes"


class CodeDialog(Dialog[Result], Generic[Result]):
    """Ask for the code, then show the progress. Closing it while it runs stops the work."""

    VERB: ClassVar[str] = ""

    def __init__(self, count: int, code: str) -> None:
        super().__init__()
        self._count, self._code = count, code
        self.stop = threading.Event()
        self._timer: Timer | None = None

    def do_work(self, desk: SessionWorker, names: list[str]) -> Result:
        """Do the work; called on a thread of its own."""
        raise NotImplementedError

    def count_done(self) -> int:
        """Return how much of the work is done."""
        raise NotImplementedError

    def describe_progress(self) -> str:
        """Return the progress as text."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Yield the code, a progress bar and a status line."""
        with Vertical(id="dialog") as box:
            box.border_title = f"{self.VERB} {self._count:,} runs"
            box.border_subtitle = _CLOSED
            yield Label(Text("Workflow code: modules, files or folders", "dim"))
            yield Input(self._code, placeholder="app.workflows  or  path/to/workflows.py", id="code")
            yield ProgressBar(self._count, show_eta=False, id="progress")
            yield Label(Text(""), id="said", markup=False)
            yield Label(Text(""), id="wrong", markup=False)

    def on_mount(self) -> None:
        """Hide the progress bar: nothing runs before Enter."""
        self.query_one("#progress").display = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Start the work."""
        if self._timer is None:
            self._show_error("")
            self._run_work(event.value)

    @work(exclusive=True, group="with code")
    async def _run_work(self, code: str) -> None:
        home = cast("ReplayApp", self.app)
        self._timer = self.set_interval(_TICK, self._update_progress)
        box = self.query_one("#dialog")
        box.border_subtitle = "Esc stops"
        self.query_one("#progress").display = True
        try:
            result = await run_in_thread(self.do_work, home.desk, shlex.split(code))
        except (ReplaytoolError, ValueError) as error:
            self._timer.stop()
            self._timer = None
            box.border_subtitle = _CLOSED
            hint = getattr(error, "hint", "")
            self._show_error(f"✗ {cell_text(str(error), 500)}{'; ' if hint else ''}{cell_text(hint, 300)}")
            return
        home.update_saved_place(code=code)
        self.dismiss(result)

    def _update_progress(self) -> None:
        self.query_one(ProgressBar).update(progress=self.count_done())
        loading = "stopping…" if self.stop.is_set() else self.describe_progress() or "loading the code…"
        self.query_one("#said", Label).update(Text(loading))

    def _show_error(self, text: str) -> None:
        self.query_one("#progress").display = False
        self.query_one("#said", Label).update(Text(""))
        self.query_one("#wrong", Label).update(Text(text))

    def action_close(self) -> None:
        """Stop running work and keep what is known; if nothing runs, close."""
        if self._timer is None:
            self.dismiss(None)
        else:
            self.stop.set()

    def on_unmount(self) -> None:
        """Stop running work."""
        self.stop.set()
