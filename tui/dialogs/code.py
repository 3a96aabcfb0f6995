"""Dialogs that replay with workflow code: which code, how far it is, and a way to stop it."""

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
from replaytool.tui.session_worker import Desk, away
from replaytool.tui.styled_lines import cell

if TYPE_CHECKING:
    from replaytool.tui.app import ReplayApp

Result = TypeVar("Result")
_TICK = 0.1
_CLOSED = "Enter starts, Esc closes"


class WithCode(Dialog[Result], Generic[Result]):
    """Asks for the code, then shows how far the work is. Closing it while it runs stops it."""

    VERB: ClassVar[str] = ""

    def __init__(self, count: int, code: str) -> None:
        super().__init__()
        self._count, self._code = count, code
        self.stop = threading.Event()
        self._timer: Timer | None = None

    def do(self, desk: Desk, names: list[str]) -> Result:
        """The work, on a thread of its own."""
        raise NotImplementedError

    def done(self) -> int:
        """How much of it is done."""
        raise NotImplementedError

    def said(self) -> str:
        """How far it is, in words."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """The code, a bar, and a line about it."""
        with Vertical(id="dialog") as box:
            box.border_title = f"{self.VERB} {self._count:,} runs"
            box.border_subtitle = _CLOSED
            yield Label(Text("Workflow code: modules, files or folders", "dim"))
            yield Input(self._code, placeholder="app.workflows  or  path/to/workflows.py", id="code")
            yield ProgressBar(self._count, show_eta=False, id="progress")
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

    @work(exclusive=True, group="with code")
    async def _run(self, code: str) -> None:
        home = cast("ReplayApp", self.app)
        self._timer = self.set_interval(_TICK, self._tick)
        box = self.query_one("#dialog")
        box.border_subtitle = "Esc stops it"
        self.query_one("#progress").display = True
        try:
            result = await away(self.do, home.desk, shlex.split(code))
        except (ReplaytoolError, ValueError) as error:
            self._timer.stop()
            self._timer = None
            box.border_subtitle = _CLOSED
            hint = getattr(error, "hint", "")
            self._complain(f"✗ {cell(str(error), 500)}{'; ' if hint else ''}{cell(hint, 300)}")
            return
        home.remember(code=code)
        self.dismiss(result)

    def _tick(self) -> None:
        self.query_one(ProgressBar).update(progress=self.done())
        loading = "stopping…" if self.stop.is_set() else self.said() or "loading the code…"
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
            self.stop.set()

    def on_unmount(self) -> None:
        """Nothing is left behind."""
        self.stop.set()
