"""Every key of every screen in one table. The bindings, the help and docs/tui.md are made from it.

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

from replaytool.errors import ErrorCode, ReplaytoolError


@dataclass(frozen=True, slots=True)
class KeyAction:
    """One thing that the user can do, and its keys."""

    keys: str
    """As Textual names them, the first of them shown."""
    action: str
    title: str
    """In the line at the foot of the screen; empty where it is not worth the room."""
    meaning: str

    @property
    def config_name(self) -> str:
        """Return its name in the configuration: the action, with `back` for the opposite direction."""
        action, _, argument = self.action.removeprefix("app.").partition("(")
        way = {"1": "", "-1": "back"}.get(argument.rstrip(")"), argument.strip("')"))
        return "-".join(filter(None, (*action.split("_"), way)))


KEYS: Mapping[str, tuple[KeyAction, ...]] = {
    "Everywhere": (
        KeyAction("question_mark,f1", "help", "Help", "show what the keys do here"),
        KeyAction("q", "back", "Back", "go back to the previous screen; on the first one, quit"),
        KeyAction("ctrl+q", "quit", "", "quit replaytool"),
        KeyAction("ctrl+p", "command_palette", "", "open the palette: all commands by name, and the themes"),
        KeyAction("tab", "app.focus_next", "", "go to the next pane"),
        KeyAction("shift+tab", "app.focus_previous", "", "go to the previous pane"),
        KeyAction("f2", "app.visit('runs')", "", "open the list of runs"),
        KeyAction("f3", "app.visit('builds')", "", "open the list of builds"),
        KeyAction("f4", "app.visit('sql')", "", "open the SQL screen"),
        KeyAction("f6", "app.visit('causes')", "", "open what the last checks found, by cause"),
    ),
    "Lists": (
        KeyAction("down,j", "move(1)", "", "one line down"),
        KeyAction("up,k", "move(-1)", "", "one line up"),
        KeyAction("pagedown,ctrl+d", "page(1)", "", "a page down"),
        KeyAction("pageup,ctrl+u", "page(-1)", "", "a page up"),
        KeyAction("g,home", "edge(-1)", "", "the first line"),
        KeyAction("G,end", "edge(1)", "", "the last line"),
        KeyAction("enter", "choose", "", "open the line, or go there"),
    ),
    "Tables": (
        KeyAction("right,l", "pan(1)", "", "show the columns further right"),
        KeyAction("left,h", "pan(-1)", "", "show the columns further left"),
    ),
    "Runs": (
        KeyAction("slash", "filter", "Filter", "edit the filter; Enter applies it, Escape cancels"),
        KeyAction("space", "mark", "Mark", "mark or unmark the run"),
        KeyAction("asterisk", "mark_all", "", "mark all listed runs, or unmark all"),
        KeyAction("d", "compare", "Compare", "compare the two marked runs"),
        KeyAction("c", "check", "Check", "replay the marked runs, or all listed runs, against workflow code"),
        KeyAction("R", "reset", "Reset", "plan a reset of the marked runs, or of this run"),
        KeyAction("x", "mismatch", "", "open the run at its first mismatch"),
        KeyAction("a", "app.visit('causes')", "Causes", "open what the last checks found, by cause"),
        KeyAction("p", "problems", "", "show the problems of the run"),
        KeyAction("o", "sort(1)", "", "sort by the next column"),
        KeyAction("O", "sort(-1)", "", "sort by the previous column"),
        KeyAction("v", "reverse", "", "reverse the order"),
        KeyAction("b", "app.visit('builds')", "Builds", "open the list of builds"),
        KeyAction("s", "app.visit('sql')", "", "open the SQL screen"),
        KeyAction("r", "reload", "", "read the store again"),
        KeyAction("y", "copy", "", "copy the run key"),
    ),
    "Causes": (
        KeyAction("enter", "choose", "Open", "open the run, or the example of the cause, at its first mismatch"),
        KeyAction("c", "check", "Check", "replay the runs of this cause again, or all runs if there is no cause"),
        KeyAction("R", "reset", "Reset", "plan a reset of the runs of this cause"),
        KeyAction("e", "edit", "Edit", "open the line of code in $EDITOR"),
        KeyAction("r", "reload", "Reload", "read the store again"),
        KeyAction("y", "copy", "Copy", "copy the verdict as JSON"),
    ),
    "Debugger": (
        KeyAction("n,right,l", "step(1)", "Next", "go to the next event"),
        KeyAction("N,left,h", "step(-1)", "Prev", "go to the previous event"),
        KeyAction("s", "task(1)", "Task", "go to the end of the next workflow task"),
        KeyAction("S", "task(-1)", "", "go to the end of the previous workflow task"),
        KeyAction("c", "run(1)", "Cont", "run to the next breakpoint"),
        KeyAction("C", "run(-1)", "", "run back to the previous breakpoint"),
        KeyAction("R", "reset", "", "plan a reset of this run: to before a build, or to the task under the cursor"),
        KeyAction(
            "b",
            "toggle_breakpoint",
            "Break",
            "set or clear a breakpoint: on events like this one, or in the source on its line",
        ),
        KeyAction("B", "breakpoints", "", "list all breakpoints; add and delete them"),
        KeyAction("slash", "search", "", "search types, names and payloads"),
        KeyAction("full_stop", "hit(1)", "", "go to the next search result"),
        KeyAction("comma", "hit(-1)", "", "go to the previous search result"),
        KeyAction("colon,ctrl+g", "goto", "Goto", "go to an event: its ID, +30s from the start, or @name"),
        KeyAction("f", "find", "Find", "find the first step where an expression is true: points == 0 and trips"),
        KeyAction("a", "blame", "Blame", "show which event, build and line last changed the variable under the cursor"),
        KeyAction("w", "watch", "Watch", "watch an expression"),
        KeyAction("W", "watches", "", "list all watched expressions; add and delete them"),
        KeyAction("x", "mismatch", "", "go to the first mismatch between history and code"),
        KeyAction(
            "right_square_bracket", "frame(1)", "", "show the line of the caller, or of the next waiting coroutine"
        ),
        KeyAction("left_square_bracket", "frame(-1)", "", "show the previous of these lines"),
        KeyAction("e", "edit", "", "open the line of the source in $EDITOR"),
        KeyAction("o", "name_code", "", "choose the workflow code to replay the run with, for all builds or for each"),
        KeyAction("escape", "give_up", "", "stop the current computation"),
        KeyAction("z", "zoom", "", "show only the focused pane, or all panes again"),
        KeyAction("1", "pane('payload')", "", "go to the event under the cursor, with all its fields"),
        KeyAction(
            "2", "pane('pending')", "", "go to the recorded state: what the run waits for, signals, updates, memo"
        ),
        KeyAction("3", "pane('difference')", "", "go to what changed since the previous stop"),
        KeyAction(
            "4", "pane('variables')", "", "go to the attributes of the workflow and the variables of waiting coroutines"
        ),
        KeyAction("5", "pane('source')", "", "go to the source, with the lines where coroutines wait"),
        KeyAction("6", "pane('watch')", "", "go to the watched expressions"),
        KeyAction("7", "pane('mismatch')", "", "go to the verdict of the last check: history against code"),
        KeyAction("y", "copy", "", "copy the event, the variable or the line under the cursor"),
    ),
    "Builds": (
        KeyAction("enter", "choose", "Runs", "list the runs that this build took part in"),
        KeyAction("R", "reset", "Reset", "plan a reset of its runs to before its first task"),
        KeyAction("y", "copy", "Copy", "copy the build ID"),
        KeyAction("r", "reload", "Reload", "read the store again"),
    ),
    "Compare": (
        KeyAction("n", "difference(1)", "Next", "go to the next difference"),
        KeyAction("N", "difference(-1)", "Back", "go to the previous difference"),
        KeyAction("f", "only_differing", "Only differing", "hide or show what is the same"),
        KeyAction("o", "open_side('left')", "Open left", "open the left run at this event"),
        KeyAction("O", "open_side('right')", "Open right", "open the right run at this event"),
        KeyAction("y", "copy", "Copy", "copy the pair as JSON"),
    ),
    "SQL": (
        KeyAction("f5,ctrl+r", "execute", "Run", "run the query"),
        KeyAction("escape", "leave_editor", "Result", "go from the query to its result"),
        KeyAction("slash", "edit", "", "go from the result back to the query"),
        KeyAction("enter", "choose", "", "open the run of the row, at the row's event, if it has these columns"),
        KeyAction("y", "copy", "Copy", "copy the row as JSON"),
    ),
    "Reset": (
        KeyAction("enter", "choose", "Open", "open the run at its reset point"),
        KeyAction(
            "s",
            "simulate",
            "Simulate",
            "replay the events before each point with the right code, and simulate what follows",
        ),
        KeyAction("w", "write", "Write", "write the plan to a file"),
        KeyAction("a", "apply", "Apply", "apply the plan to a server; asks for the address and for confirmation"),
        KeyAction("i", "include", "", "include the workflow even if a warning blocks it, or undo that"),
        KeyAction("x", "leave_out", "", "leave the workflow out of the plan"),
        KeyAction("X", "take_back", "", "include again what you left out"),
        KeyAction("o", "skipped", "Left out", "list the workflows that are not in the plan, and why"),
        KeyAction("y", "copy", "", "copy the item as JSON"),
    ),
    "Dialogs": (
        KeyAction("escape,q", "close", "Close", "close it and change nothing"),
        KeyAction("enter", "choose", "", "accept the choice or the text"),
        KeyAction("delete,d", "delete", "", "in a list of breakpoints or expressions: delete the entry"),
        KeyAction("a", "add", "", "in a list of breakpoints or expressions: add an entry"),
    ),
}
_BOUND_BY_TEXTUAL = {"command_palette"}
_SHOWN = {
    "right": "→", "left": "←", "up": "↑", "down": "↓", "pagedown": "PgDn", "pageup": "PgUp", "shift+tab": "Shift+Tab",
    "enter": "Enter", "escape": "Esc", "space": "Space", "delete": "Del", "tab": "Tab", "home": "Home", "end": "End",
}  # fmt: skip


def format_keys(keys: str) -> str:
    """Return the keys as they are printed on a keyboard."""
    return " ".join(format_single_key(key) for key in keys.split(","))


def format_single_key(key: str) -> str:
    """Return a key as it is printed on a keyboard."""
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    if key[0] == "f" and key[1:].isdigit():
        return key.upper()
    return _SHOWN.get(key) or format_key(key)


def build_bindings(group: str, *, show: bool = True) -> list[BindingType]:
    """Return one binding per key; keys of the same action share a footer entry and a name."""
    found: list[BindingType] = []
    for row in KEYS[group]:
        if row.action in _BOUND_BY_TEXTUAL:
            continue
        title, shows = row.title or row.meaning, show and bool(row.title)
        name = qualified_name(group, row)
        found.extend(Binding(key, row.action, title, show=shows, id=name) for key in row.keys.split(","))
    return found


def qualified_name(group: str, row: KeyAction) -> str:
    """Return the name that `[tool.replaytool.keys]` uses: `debugger.step-back`."""
    return f"{group.lower()}.{row.config_name}"


def build_keymap(chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the configured keys by name; an unknown name or a key with two meanings is an error."""
    known = {qualified_name(group, row): row for group, rows in KEYS.items() for row in rows}
    for name in chosen:
        if name not in known or known[name].action in _BOUND_BY_TEXTUAL:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/tui.md lists the names"
            raise ReplaytoolError(
                f"[tool.replaytool.keys] there is no action {name!r}", hint, code=ErrorCode.CONFIG_SHORTCUT_ACTION
            )
    found = {
        name: ",".join(_normalize_key(key) for key in keys.split(",") if key.strip()) for name, keys in chosen.items()
    }
    for group, rows in KEYS.items():
        _refuse_clashes(
            group, {qualified_name(group, row): found.get(qualified_name(group, row), row.keys) for row in rows}
        )
    return found


def _refuse_clashes(group: str, keys_by_name: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for name, keys in keys_by_name.items():
        for key in keys.split(","):
            if taken.setdefault(key, name) != name:
                raise ReplaytoolError(
                    f"[tool.replaytool.keys] {format_single_key(key)} is the key of both {taken[key]} and {name}",
                    "give one of them another key",
                    code=ErrorCode.CONFIG_SHORTCUT_TAKEN,
                )


def _normalize_key(key: str) -> str:
    """Return Textual's name for a key; the user may write the character itself."""
    key = key.strip()
    (made,) = Binding.make_bindings([Binding(key, "x")])
    return made.key


def format_key_tables() -> str:
    """Return the key tables of docs/tui.md."""
    parts = []
    for group, rows in KEYS.items():
        parts.append(f"### {group}\n\n| key | what it does | name |\n| --- | --- | --- |")
        for row in rows:
            printed = " ".join(f"`{key}`" for key in format_keys(row.keys).split())
            parts.append(
                f"| {printed} | {row.meaning} | {'' if row.action in _BOUND_BY_TEXTUAL else row.config_name} |"
            )
        parts.append("")
    return "\n".join(parts)


def write_key_tables(page: str) -> None:
    """Write the tables into the page, below its mark."""
    path = Path(page)
    head, mark, _ = path.read_text(encoding="utf-8").partition("<!-- keys -->\n")
    path.write_text(f"{head}{mark}\n{format_key_tables()}", encoding="utf-8")


if __name__ == "__main__":
    write_key_tables(sys.argv[1])
