"""Every key of every screen in one table: the bindings, the help and docs/tui.md are made from it.

Upper case goes back where lower case goes on.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding, BindingType
from textual.keys import format_key

from replaytool.errors import ReplaytoolError


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that a person can do."""

    keys: str
    """As Textual names them, the first of them shown."""
    action: str
    title: str
    """In the line at the foot of the screen; empty where it is not worth the room."""
    meaning: str

    @property
    def name(self) -> str:
        """What a configuration calls it: the action, with `back` where that goes the other way."""
        action, _, argument = self.action.removeprefix("app.").partition("(")
        way = {"1": "", "-1": "back"}.get(argument.rstrip(")"), argument.strip("')"))
        return "-".join(filter(None, (*action.split("_"), way)))


KEYS: Mapping[str, tuple[Key, ...]] = {
    "Everywhere": (
        Key("question_mark,f1", "help", "Help", "what the keys do here"),
        Key("q", "back", "Back", "back to where this screen was opened from; from the first one, leave"),
        Key("ctrl+q", "quit", "", "leave replaytool"),
        Key("ctrl+p", "command_palette", "", "the palette: all commands by name, themes among them"),
        Key("tab", "app.focus_next", "", "the next pane"),
        Key("shift+tab", "app.focus_previous", "", "the pane before"),
        Key("f2", "app.visit('runs')", "", "the list of runs"),
        Key("f3", "app.visit('builds')", "", "the list of builds"),
        Key("f4", "app.visit('sql')", "", "the SQL screen"),
        Key("f6", "app.visit('causes')", "", "what the last checks found, by cause"),
    ),
    "Lists": (
        Key("down,j", "move(1)", "", "one line down"),
        Key("up,k", "move(-1)", "", "one line up"),
        Key("pagedown,ctrl+d", "page(1)", "", "a page down"),
        Key("pageup,ctrl+u", "page(-1)", "", "a page up"),
        Key("g,home", "edge(-1)", "", "the first line"),
        Key("G,end", "edge(1)", "", "the last line"),
        Key("enter", "choose", "", "open, or go there"),
    ),
    "Tables": (
        Key("right,l", "pan(1)", "", "the columns further right, where not all fit"),
        Key("left,h", "pan(-1)", "", "back to the left"),
    ),
    "Runs": (
        Key("slash", "filter", "Filter", "go to the filter line; Enter applies it, Escape leaves it as it was"),
        Key("space", "mark", "Mark", "mark the run, or take the mark away"),
        Key("asterisk", "mark_all", "", "mark all listed runs, or none if all are marked"),
        Key("d", "compare", "Compare", "compare the two marked runs"),
        Key("c", "check", "Check", "replay the marked runs, or all that are listed, against workflow code"),
        Key("R", "reset", "Reset", "plan a reset of the marked runs, or of this one"),
        Key("x", "mismatch", "", "open the run where code and record part"),
        Key("a", "app.visit('causes')", "Causes", "what the last checks found, by cause"),
        Key("p", "problems", "", "what is odd about the run"),
        Key("o", "sort(1)", "", "sort by the next column"),
        Key("O", "sort(-1)", "", "sort by the column before"),
        Key("v", "reverse", "", "turn the order round"),
        Key("b", "app.visit('builds')", "Builds", "the list of builds"),
        Key("s", "app.visit('sql')", "", "the SQL screen"),
        Key("r", "reload", "", "read the store again"),
        Key("y", "copy", "", "copy the run key"),
    ),
    "Causes": (
        Key("enter", "choose", "Open", "open the run, or the example of the cause, where code and record part"),
        Key("c", "check", "Check", "replay the runs of this cause again, or all runs where there is none"),
        Key("R", "reset", "Reset", "plan a reset of the runs of this cause"),
        Key("e", "edit", "Edit", "open the line of code in $EDITOR"),
        Key("r", "reload", "Reload", "read the store again"),
        Key("y", "copy", "Copy", "copy the verdict as JSON"),
    ),
    "Debugger": (
        Key("n,right,l", "step(1)", "Next", "go to the next event"),
        Key("N,left,h", "step(-1)", "Prev", "go to the event before"),
        Key("s", "task(1)", "Task", "go to the end of the next workflow task"),
        Key("S", "task(-1)", "", "go to the end of the workflow task before"),
        Key("c", "run(1)", "Cont", "run to the next breakpoint"),
        Key("C", "run(-1)", "", "run back to the breakpoint before"),
        Key("R", "reset", "", "plan a reset of this run: to before a build, or to the task under the cursor"),
        Key(
            "b",
            "toggle_breakpoint",
            "Break",
            "a breakpoint on events like this one, in the source on its line; or none",
        ),
        Key("B", "breakpoints", "", "all breakpoints: add, delete"),
        Key("slash", "search", "", "search types, names and payloads"),
        Key("full_stop", "hit(1)", "", "the next hit of the search"),
        Key("comma", "hit(-1)", "", "the hit before"),
        Key("colon,ctrl+g", "goto", "Goto", "go to an event: its id, +30s from the start, or @name"),
        Key("f", "find", "Find", "find the first step where an expression holds: points == 0 and trips"),
        Key("a", "blame", "Blame", "what made the variable under the cursor what it is: event, build and line"),
        Key("w", "watch", "Watch", "watch an expression"),
        Key("W", "watches", "", "all watched expressions: add, delete"),
        Key("x", "mismatch", "", "go to the first mismatch of recorded and produced"),
        Key("right_square_bracket", "frame(1)", "", "the line of the next caller, or of another coroutine that waits"),
        Key("left_square_bracket", "frame(-1)", "", "the line before"),
        Key("e", "edit", "", "open the line of the source in $EDITOR"),
        Key("o", "name_code", "", "name the workflow code to replay the run with, one for all builds or one for each"),
        Key("escape", "give_up", "", "give up what is being computed"),
        Key("z", "zoom", "", "the focused pane alone, or all again"),
        Key("1", "pane('payload')", "", "the event under the cursor, whole"),
        Key("2", "pane('pending')", "", "what the run waits for, signals, updates, memo"),
        Key("3", "pane('difference')", "", "what is new since the stop before"),
        Key("4", "pane('variables')", "", "attributes of the workflow, variables of what waits"),
        Key("5", "pane('source')", "", "the code, with the lines at which coroutines wait"),
        Key("6", "pane('watch')", "", "the watched expressions"),
        Key("7", "pane('mismatch')", "", "what the last check said: recorded against produced"),
        Key("y", "copy", "", "copy the event, the variable or the line that the cursor is on"),
    ),
    "Builds": (
        Key("enter", "choose", "Its runs", "the runs that this build took part in"),
        Key("R", "reset", "Reset", "plan a reset of its runs to before it did anything"),
        Key("y", "copy", "Copy", "copy the build id"),
        Key("r", "reload", "Reload", "read the store again"),
    ),
    "Compare": (
        Key("n", "difference(1)", "Next", "the next difference"),
        Key("N", "difference(-1)", "Back", "the difference before"),
        Key("f", "only_differing", "Only differing", "hide what is the same, or show it"),
        Key("o", "open_side('left')", "Open left", "open the left run at this event"),
        Key("O", "open_side('right')", "Open right", "open the right run at this event"),
        Key("y", "copy", "Copy", "copy the pair as JSON"),
    ),
    "SQL": (
        Key("f5,ctrl+r", "execute", "Run", "run the query"),
        Key("escape", "leave_editor", "Result", "from the query to its result"),
        Key("slash", "edit", "", "from the result back to the query"),
        Key("enter", "choose", "", "open the run of the row, at its event, where the row names them"),
        Key("y", "copy", "Copy", "copy the row as JSON"),
    ),
    "Reset": (
        Key("enter", "choose", "Open", "open the run at the point that it goes back to"),
        Key("s", "simulate", "Simulate", "replay what is kept and simulate what follows, with the right code"),
        Key("w", "write", "Write", "write the plan to a file"),
        Key("a", "apply", "Apply", "apply the plan to a server: asks where, and for the number of workflows"),
        Key("i", "include", "", "take the workflow although a warning blocks it, or no longer"),
        Key("x", "leave_out", "", "leave the workflow out of the plan"),
        Key("X", "take_back", "", "take in again what was left out"),
        Key("o", "skipped", "Left out", "the workflows that are not in the plan, and why"),
        Key("y", "copy", "", "copy the item as JSON"),
    ),
    "Dialogs": (
        Key("escape,q", "close", "Close", "close it and change nothing"),
        Key("enter", "choose", "", "take what is chosen or written"),
        Key("delete,d", "delete", "", "in a list of breakpoints or expressions: delete this one"),
        Key("a", "add", "", "in a list of breakpoints or expressions: write a new one"),
    ),
}
_BOUND_BY_TEXTUAL = {"command_palette"}
_SHOWN = {
    "right": "→", "left": "←", "up": "↑", "down": "↓", "pagedown": "PgDn", "pageup": "PgUp", "shift+tab": "Shift+Tab",
    "enter": "Enter", "escape": "Esc", "space": "Space", "delete": "Del", "tab": "Tab", "home": "Home", "end": "End",
}  # fmt: skip


def shown(keys: str) -> str:
    """The keys as they are printed on a keyboard."""
    return " ".join(one(key) for key in keys.split(","))


def one(key: str) -> str:
    """A key as it is printed on a keyboard."""
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    if key[0] == "f" and key[1:].isdigit():
        return key.upper()
    return _SHOWN.get(key) or format_key(key)


def bindings(group: str, *, show: bool = True) -> list[BindingType]:
    """One binding for each key: those that share an action share an entry in the footer, and a name."""
    found: list[BindingType] = []
    for row in KEYS[group]:
        if row.action in _BOUND_BY_TEXTUAL:
            continue
        title, shows = row.title or row.meaning, show and bool(row.title)
        name = full_name(group, row)
        found.extend(Binding(key, row.action, title, show=shows, id=name) for key in row.keys.split(","))
    return found


def full_name(group: str, row: Key) -> str:
    """What `[tool.replaytool.keys]` calls it: `debugger.step-back`."""
    return f"{group.lower()}.{row.name}"


def keymap(chosen: Mapping[str, str]) -> dict[str, str]:
    """The keys that a person chose, by name; an unknown name and a key that would mean two things are errors."""
    known = {full_name(group, row): row for group, rows in KEYS.items() for row in rows}
    for name in chosen:
        if name not in known or known[name].action in _BOUND_BY_TEXTUAL:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/tui.md lists the names"
            raise ReplaytoolError(f"[tool.replaytool.keys] there is no action {name!r}", hint)
    found = {name: ",".join(_spelled(key) for key in keys.split(",") if key.strip()) for name, keys in chosen.items()}
    for group, rows in KEYS.items():
        _refuse_clashes(group, {full_name(group, row): found.get(full_name(group, row), row.keys) for row in rows})
    return found


def _refuse_clashes(group: str, keys_by_name: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for name, keys in keys_by_name.items():
        for key in keys.split(","):
            if taken.setdefault(key, name) != name:
                raise ReplaytoolError(
                    f"[tool.replaytool.keys] {one(key)} would mean both {taken[key]} and {name}",
                    "give one of them another key",
                )


def _spelled(key: str) -> str:
    """As Textual names it; a person may write the character itself."""
    key = key.strip()
    (made,) = Binding.make_bindings([Binding(key, "x")])
    return made.key


def markdown() -> str:
    """The tables of docs/tui.md."""
    parts = []
    for group, rows in KEYS.items():
        parts.append(f"### {group}\n\n| key | what it does | its name |\n| --- | --- | --- |")
        for row in rows:
            printed = " ".join(f"`{key}`" for key in shown(row.keys).split())
            parts.append(f"| {printed} | {row.meaning} | {'' if row.action in _BOUND_BY_TEXTUAL else row.name} |")
        parts.append("")
    return "\n".join(parts)


def main(page: str) -> None:
    """Write the tables into the page, below its mark."""
    path = Path(page)
    head, mark, _ = path.read_text(encoding="utf-8").partition("<!-- keys -->\n")
    path.write_text(f"{head}{mark}\n{markdown()}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
