"""Apply a plan: the user names the server and types the number of workflows, then sees the progress."""

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
from replaytool.session.resets import ResetConfirmation, ResetServer
from replaytool.tui.dialogs.prompts import Dialog
from replaytool.tui.session_worker import run_in_thread
from replaytool.tui.styled_lines import cell_text

if TYPE_CHECKING:
    from replaytool.session.resets import ApplyResult
    from replaytool.tui.screen_host import ScreenHost

_TICK = 0.1
_FORM = ("file", "address", "namespace")


class ApplyDialog(Dialog[tuple[Path, Sequence[ItemOutcome]]]):
    """A form, a question, a progress bar. Closing it before the question changes nothing; later it stops the apply."""

    def __init__(self, reset_plan: ResetPlan, name: str, *, is_written: bool) -> None:
        super().__init__()
        self._plan, self._name, self._is_written = reset_plan, name, is_written
        self._stop = threading.Event()
        self._answers: SimpleQueue[bool] = SimpleQueue()
        self._timer: Timer | None = None
        self._question: ResetConfirmation | None = None
        self._done: ApplyResult | None = None

    def compose(self) -> ComposeResult:
        """Yield one field below the other; fields that are not needed yet are hidden."""
        with Vertical(id="dialog") as box:
            box.border_title = "Apply the plan to a server"
            yield Label(Text("Plan file; the ledger is written beside it", "dim"))
            yield Input(self._name, id="file", disabled=self._is_written)
            yield Label(Text("Address (empty: as the `temporal` tool is configured)", "dim"))
            yield Input("", placeholder="localhost:7233", id="address")
            yield Label(Text("Namespace", "dim"))
            yield Input(self._plan.namespace or "", placeholder="default", id="namespace")
            yield Label(Text(""), id="question", markup=False)
            yield Input("", id="number")
            yield ProgressBar(show_eta=False, id="progress")
            yield Label(Text(""), id="said", markup=False)
            yield Label(Text(""), id="wrong", markup=False)

    def on_mount(self) -> None:
        """Show the form alone."""
        self._show_fields("Enter connects; nothing is reset before you confirm")
        self.query_one("#address", Input).focus()

    def _show_fields(self, subtitle: str, *visible: str) -> None:
        self.query_one("#dialog").border_subtitle = subtitle
        for name in ("question", "number", "progress", "said", "wrong"):
            self.query_one(f"#{name}").display = name in visible

    def _set_label(self, name: str, text: str) -> None:
        self.query_one(f"#{name}", Label).update(Text(text))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Connect, or take the typed number."""
        if event.input.id == "number":
            self._answer_question(event.value)
        elif self._timer is None and self._done is None:
            self._connect_and_apply()

    @work(exclusive=True, group="apply")
    async def _connect_and_apply(self) -> None:
        desk = cast("ScreenHost", self.app).desk
        values = {name: self.query_one(f"#{name}", Input).value.strip() for name in _FORM}
        path, target = Path(values["file"]), ResetServer(values["address"], values["namespace"])
        self._timer = self.set_interval(_TICK, self._update_progress)
        self._lock_form(True)
        self._show_fields("Esc stops", "said")
        self._set_label("said", "connecting…")
        try:
            if not self._is_written:
                await run_in_thread(desk.write_plan, self._plan, path)
                self._is_written = True
            self._tally = desk.new_tally()
            self._done = await run_in_thread(
                desk.apply_plan, path, self._plan, target, self._confirm_on_screen, self._tally, self._stop
            )
        except ReplaytoolError as error:
            self._reopen_form(error)
            return
        self._timer.stop()
        self._show_result()

    def _lock_form(self, locked: bool) -> None:
        for name in _FORM:
            self.query_one(f"#{name}", Input).disabled = locked or (name == "file" and self._is_written)

    def _reopen_form(self, error: ReplaytoolError) -> None:
        """Show the error, and let the user change the form."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = None
        self._lock_form(False)
        self._show_fields("Enter connects", "wrong")
        self._set_label("wrong", f"✗ {cell_text(error.format_line(), 800)}")
        self.query_one("#address", Input).focus()

    # The question is asked by the thread that applies, which waits for the answer.

    def _confirm_on_screen(self, question: ResetConfirmation) -> bool:
        self.app.call_from_thread(self._show_question, question)
        return self._answers.get()

    def _show_question(self, question: ResetConfirmation) -> None:
        self._question = question
        before = f"{question.done_before:,} more are already reset. " if question.done_before else ""
        warnings = "".join(f"\n! {cell_text(one, 200)}" for one in question.warnings)
        self._set_label(
            "question",
            f"This resets {question.left:,} workflows in namespace {cell_text(question.namespace)} at "
            f"{cell_text(question.address)}. {before}Type {question.left} to continue.{warnings}",
        )
        self._show_fields("Enter resets the workflows, Esc cancels", "question", "number")
        self.query_one("#number", Input).focus()

    def _answer_question(self, typed: str) -> None:
        question, self._question = self._question, None
        if question is None:
            return
        agreed = typed.strip() == str(question.left)
        if agreed:
            self.query_one("#progress", ProgressBar).update(total=question.left, progress=0)
            self._show_fields("Esc stops after the open calls", "progress", "said")
        self._answers.put(agreed)

    def _update_progress(self) -> None:
        if self.query_one("#progress").display:
            states = self._tally.states
            self.query_one(ProgressBar).update(progress=states.total())
            counts = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
            stopping = "stopping: " if self._stop.is_set() else ""
            self._set_label("said", f"{stopping}{self._tally.phase}: {counts or 'waiting for the first answer'}")

    def _show_result(self) -> None:
        done = self._done
        if done is None:
            self._show_fields("Esc closes", "wrong")
            self._set_label("wrong", "nothing was reset: you did not type the number")
            return
        self._update_progress()
        counts = (
            ", ".join(f"{count:,} {state}" for state, count in sorted(done.tally.states.items())) or "nothing to do"
        )
        before = f", {done.tally.before:,} by an earlier apply" if done.tally.before else ""
        self._show_fields("Esc closes", "said", *(["wrong"] if done.stopped else []))
        self._set_label("said", f"{'✔' if done.is_clean else '✗'} {counts}{before}")
        self._set_label("wrong", f"stopped: {cell_text(done.stopped, 400)}" if done.stopped else "")

    def action_close(self) -> None:
        """Close if nothing runs; answer no to an open question; else stop the apply."""
        if self._question is not None:
            self._answer_question("")
        elif self._done is not None:
            self.dismiss((Path(self.query_one("#file", Input).value.strip()), self._done.outcomes))
        elif self._timer is not None and self.query_one("#wrong").display is False:
            self._stop.set()
        else:
            self.dismiss((Path(self.query_one("#file", Input).value.strip()), ()) if self._is_written else None)

    def on_unmount(self) -> None:
        """Stop the apply, and answer no to a thread that still waits for the user."""
        self._stop.set()
        self._answers.put(False)
