"""Every key of every screen in one table: the bindings, the help and docs/tui.md are made from it.

Upper case goes back where lower case goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that a person can do."""

    keys: str
    """As Textual names them, the first of them shown."""
    action: str
    title: str
    """In the line at the foot of the screen; empty where it is not worth the room."""
    meaning: str


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
        Key("p", "problems", "Problems", "what is odd about the run"),
        Key("o", "sort(1)", "", "sort by the next column"),
        Key("O", "sort(-1)", "", "sort by the column before"),
        Key("v", "reverse", "", "turn the order round"),
        Key("b", "app.visit('builds')", "Builds", "the list of builds"),
        Key("s", "app.visit('sql')", "SQL", "the SQL screen"),
        Key("r", "reload", "", "read the store again"),
        Key("y", "copy", "", "copy the run key"),
    ),
    "Debugger": (
        Key("n,right,l", "step(1)", "Next", "go to the next event"),
        Key("N,left,h", "step(-1)", "Back", "go to the event before"),
        Key("s", "task(1)", "Task", "go to the end of the next workflow task"),
        Key("S", "task(-1)", "", "go to the end of the workflow task before"),
        Key("c", "run(1)", "Cont", "run to the next breakpoint"),
        Key("C", "run(-1)", "", "run back to the breakpoint before"),
        Key("b", "toggle_breakpoint", "Break", "a breakpoint on events like this one, or none"),
        Key("B", "breakpoints", "", "all breakpoints: add, delete"),
        Key("slash", "search", "Find", "search types, names and payloads"),
        Key("full_stop", "hit(1)", "", "the next hit of the search"),
        Key("comma", "hit(-1)", "", "the hit before"),
        Key("colon,ctrl+g", "goto", "Goto", "go to an event: its id, +30s from the start, or @name"),
        Key("z", "zoom", "", "the focused pane alone, or all again"),
        Key("1", "pane('payload')", "", "the event under the cursor, whole"),
        Key("2", "pane('pending')", "", "what the run waits for, signals, updates, memo"),
        Key("3", "pane('difference')", "", "what is new since the stop before"),
        Key("y", "copy", "", "copy the event as JSON"),
    ),
    "Builds": (
        Key("enter", "choose", "Its runs", "the runs that this build took part in"),
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
    "Dialogs": (
        Key("escape,q", "close", "Close", "close it and change nothing"),
        Key("enter", "choose", "", "take what is chosen or written"),
        Key("delete,d", "delete", "", "in the list of breakpoints: delete this one"),
        Key("a", "add", "", "in the list of breakpoints: write a new one"),
    ),
}
_BOUND_BY_TEXTUAL = {"command_palette"}
_SHOWN = {
    "question_mark": "?", "slash": "/", "full_stop": ".", "comma": ",", "colon": ":", "asterisk": "*",
    "right": "→", "left": "←", "up": "↑", "down": "↓", "pagedown": "PgDn", "pageup": "PgUp", "shift+tab": "Shift+Tab",
    "enter": "Enter", "escape": "Esc", "space": "Space", "delete": "Del", "tab": "Tab", "home": "Home", "end": "End",
}  # fmt: skip


def shown(keys: str) -> str:
    """The keys as they are printed on a keyboard."""
    return " ".join(_one(key) for key in keys.split(","))


def _one(key: str) -> str:
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    return _SHOWN.get(key, key.upper() if key[0] == "f" and key[1:].isdigit() else key)


def bindings(group: str, *, show: bool = True) -> list[BindingType]:
    """One binding for each key: those that share an action share an entry in the footer, under the first."""
    found: list[BindingType] = []
    for row in KEYS[group]:
        if row.action in _BOUND_BY_TEXTUAL:
            continue
        for number, key in enumerate(row.keys.split(",")):
            visible = show and bool(row.title) and number == 0
            found.append(Binding(key, row.action, row.title or row.meaning, show=visible, key_display=_one(key)))
    return found


def markdown() -> str:
    """The tables of docs/tui.md."""
    parts = []
    for group, rows in KEYS.items():
        parts.append(f"### {group}\n\n| key | what it does |\n| --- | --- |")
        parts.extend(f"| {' '.join(f'`{key}`' for key in shown(row.keys).split())} | {row.meaning} |" for row in rows)
        parts.append("")
    return "\n".join(parts)


def main(page: str) -> None:
    """Write the tables into the page, below its mark."""
    path = Path(page)
    head, mark, _ = path.read_text(encoding="utf-8").partition("<!-- keys -->\n")
    path.write_text(f"{head}{mark}\n{markdown()}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
