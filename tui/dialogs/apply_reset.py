"""Applying a plan: which server, the number of workflows typed by a person, and then how far it is."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input, Label, ProgressBar

from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import ItemOutcome, ResetPlan
from replaytool.session.resets import Question, Target
from replaytool.tui.dialogs.prompts import Dialog
from replaytool.tui.session_worker import away
from replaytool.tui.styled_lines import cell

if TYPE_CHECKING:
    from replaytool.session.resets import ApplyResult
    from replaytool.tui.app import ReplayApp

_TICK = 0.1
_FORM = ("file", "address", "namespace")


class Applying(Dialog[tuple[Path, Sequence[ItemOutcome]]]):
    """A form, a question, a bar. Closing it before the question changes nothing; afterwards it stops what runs."""

    def __init__(self, reset_plan: ResetPlan, name: str, *, is_written: bool) -> None:
        super().__init__()
        self._plan, self._name, self._is_written = reset_plan, name, is_written
        self._stop = threading.Event()
        self._answers: SimpleQueue[bool] = SimpleQueue()
        self._timer: Timer | None = None
        self._question: Question | None = None
        self._done: ApplyResult | None = None

    def compose(self) -> ComposeResult:
        """One field below the other; what is not asked yet is hidden."""
        with Vertical(id="dialog") as box:
            box.border_title = "Apply the plan to a server"
            yield Label(Text("Plan file: its ledger is kept beside it", "dim"))
            yield Input(self._name, id="file", disabled=self._is_written)
            yield Label(Text("Address (empty: as the official tools are configured)", "dim"))
            yield Input("", placeholder="localhost:7233", id="address")
            yield Label(Text("Namespace", "dim"))
            yield Input(self._plan.namespace or "", placeholder="default", id="namespace")
            yield Label(Text(""), id="question", markup=False)
            yield Input("", id="number")
            yield ProgressBar(show_eta=False, id="progress")
            yield Label(Text(""), id="said", markup=False)
            yield Label(Text(""), id="wrong", markup=False)

    def on_mount(self) -> None:
        """Only the form at first."""
        self._shows("Enter connects; nothing is reset before you confirm it")
        self.query_one("#address", Input).focus()

    def _shows(self, subtitle: str, *visible: str) -> None:
        self.query_one("#dialog").border_subtitle = subtitle
        for name in ("question", "number", "progress", "said", "wrong"):
            self.query_one(f"#{name}").display = name in visible

    def _say(self, name: str, text: str) -> None:
        self.query_one(f"#{name}", Label).update(Text(text))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Connect; or the number was typed."""
        if event.input.id == "number":
            self._answer(event.value)
        elif self._timer is None and self._done is None:
            self._run()

    @work(exclusive=True, group="apply")
    async def _run(self) -> None:
        desk = cast("ReplayApp", self.app).desk
        values = {name: self.query_one(f"#{name}", Input).value.strip() for name in _FORM}
        path, target = Path(values["file"]), Target(values["address"], values["namespace"])
        self._timer = self.set_interval(_TICK, self._tick)
        self._lock(True)
        self._shows("Esc stops it", "said")
        self._say("said", "connecting…")
        try:
            if not self._is_written:
                await away(desk.write_plan, self._plan, path)
                self._is_written = True
            self._tally = desk.tally()
            self._done = await away(desk.apply, path, self._plan, target, self._confirm, self._tally, self._stop)
        except ReplaytoolError as error:
            self._again(error)
            return
        self._timer.stop()
        self._told()

    def _lock(self, locked: bool) -> None:
        for name in _FORM:
            self.query_one(f"#{name}", Input).disabled = locked or (name == "file" and self._is_written)

    def _again(self, error: ReplaytoolError) -> None:
        """It can be mended: the form is open again."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = None
        self._lock(False)
        self._shows("Enter connects", "wrong")
        self._say("wrong", f"✗ {cell(error.message, 500)}{'; ' if error.hint else ''}{cell(error.hint, 300)}")
        self.query_one("#address", Input).focus()

    # The question is asked by the thread that applies, which waits for the answer.

    def _confirm(self, question: Question) -> bool:
        self.app.call_from_thread(self._ask, question)
        return self._answers.get()

    def _ask(self, question: Question) -> None:
        self._question = question
        before = f"{question.done_before:,} are done already. " if question.done_before else ""
        warnings = "".join(f"\n! {cell(one, 200)}" for one in question.warnings)
        self._say(
            "question",
            f"This resets {question.left:,} workflows in namespace {cell(question.namespace)} at "
            f"{cell(question.address)}. {before}Type {question.left} to go on.{warnings}",
        )
        self._shows("Enter resets them, Esc changes nothing", "question", "number")
        self.query_one("#number", Input).focus()

    def _answer(self, typed: str) -> None:
        question, self._question = self._question, None
        if question is None:
            return
        agreed = typed.strip() == str(question.left)
        if agreed:
            self.query_one("#progress", ProgressBar).update(total=question.left, progress=0)
            self._shows("Esc stops after what is under way", "progress", "said")
        self._answers.put(agreed)

    def _tick(self) -> None:
        if self.query_one("#progress").display:
            states = self._tally.states
            self.query_one(ProgressBar).update(progress=states.total())
            counts = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
            stopping = "stopping: " if self._stop.is_set() else ""
            self._say("said", f"{stopping}{self._tally.phase}: {counts or 'the first call is under way'}")

    def _told(self) -> None:
        done = self._done
        if done is None:
            self._shows("Esc closes", "wrong")
            self._say("wrong", "nothing was reset: the number was not typed")
            return
        self._tick()
        counts = (
            ", ".join(f"{count:,} {state}" for state, count in sorted(done.tally.states.items())) or "nothing to do"
        )
        before = f", {done.tally.before:,} done before" if done.tally.before else ""
        self._shows("Esc closes", "said", *(["wrong"] if done.stopped else []))
        self._say("said", f"{'✔' if done.is_clean else '✗'} {counts}{before}")
        self._say("wrong", f"stopped: {cell(done.stopped, 400)}" if done.stopped else "")

    def action_close(self) -> None:
        """Nothing is under way: close. A question is open: change nothing. Else stop."""
        if self._question is not None:
            self._answer("")
        elif self._done is not None:
            self.dismiss((Path(self.query_one("#file", Input).value.strip()), self._done.outcomes))
        elif self._timer is not None and self.query_one("#wrong").display is False:
            self._stop.set()
        else:
            self.dismiss((Path(self.query_one("#file", Input).value.strip()), ()) if self._is_written else None)

    def on_unmount(self) -> None:
        """Whoever waits for an answer gets one."""
        self._stop.set()
        self._answers.put(False)
