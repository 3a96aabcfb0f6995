"""The dialog for everything that replays with workflow code: it asks for the code, shows progress, stops on Esc."""

from __future__ import annotations

import shlex
import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

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
    from replaytool.tui.screen_host import ScreenHost

Result = TypeVar("Result")
Made = TypeVar("Made", covariant=True)
_TICK = 0.1
_CLOSED = "Enter starts, Esc closes"


class CodeWork(Protocol[Made]):
    """Work on several runs that needs workflow code."""

    @property
    def title(self) -> str:
        """The verb and the number of runs."""
        ...

    @property
    def count(self) -> int:
        """How many runs there are to do."""
        ...

    def do_work(self, desk: SessionWorker, names: list[str], stop: threading.Event) -> Made:
        """Do the work with this code; called on a thread of its own. Setting `stop` ends it early."""
        ...

    def count_done(self) -> int:
        """Return how many runs are done."""
        ...

    def describe_progress(self) -> str:
        """Return the progress as text."""
        ...


class CodeDialog(Dialog[Result], Generic[Result]):
    """Ask for the code, then show the progress. Closing it while it runs stops the work."""

    def __init__(self, work: CodeWork[Result], code: str) -> None:
        super().__init__()
        self._job, self._code = work, code
        self._stop = threading.Event()
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Yield the code, a progress bar and a status line."""
        with Vertical(id="dialog") as box:
            box.border_title = self._job.title
            box.border_subtitle = _CLOSED
            yield Label(Text("Workflow code: modules, files or folders", "dim"))
            yield Input(self._code, placeholder="app.workflows  or  path/to/workflows.py", id="code")
            yield ProgressBar(self._job.count, show_eta=False, id="progress")
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
        home = cast("ScreenHost", self.app)
        self._timer = self.set_interval(_TICK, self._update_progress)
        box = self.query_one("#dialog")
        box.border_subtitle = "Esc stops"
        self.query_one("#progress").display = True
        try:
            result = await run_in_thread(self._job.do_work, home.desk, shlex.split(code), self._stop)
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
        self.query_one(ProgressBar).update(progress=self._job.count_done())
        loading = "stopping…" if self._stop.is_set() else self._job.describe_progress() or "loading the code…"
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
            self._stop.set()

    def on_unmount(self) -> None:
        """Stop running work."""
        self._stop.set()
