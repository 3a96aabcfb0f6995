"""Every key of the other screens, pressed; how all of them look; and what comes back the next time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.style import Style

from replaytool.cli import runs as runs_command
from replaytool.session import RUN_FILTERS
from replaytool.tui import keys
from replaytool.tui import saved_place as place
from replaytool.tui.app import SCREENS_BY_KEY
from replaytool.tui.screens import base
from replaytool.tui.styled_lines import ROLES
from tests.support.paths import ROOT
from tests.tui import recorded_stores as recordings
from tests.tui.conftest import Drive, Driver, matches

pytestmark = pytest.mark.slow


def listed(at: Driver) -> list[str]:
    rows = at.screen.grid.rows
    return [rows[index]["workflow_id"] for index in range(len(rows))]


def test_filters_are_those_of_the_command_line() -> None:
    options = {one.name for one in runs_command.command.params}
    assert options - {"where", "limit", "as_json", "store"} == set(RUN_FILTERS)


def test_runs_are_filtered_sorted_and_turned_round(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        assert listed(at) == ["order-1", "order-2", "order-3"]
        await at.press("slash")
        await at.write("status:failed build:v2 2")
        await at.press("enter")
        assert listed(at) == ["order-2"]
        await at.press("slash", "x", "escape")
        assert at.screen.query_one("#filter").value == "status:failed build:v2 2"
        for text, words in (
            ("type:nobody", "no run matches"),
            ("hue:red", "unknown filter 'hue'"),
            ("where:nope", "failed"),
            ("since:1h", "no run matches"),
            ("since:soon", "soon is not a time"),
            ('until:""', "is not a time"),
        ):
            at.screen.set_filter(text)
            await at.settle()
            assert words in at.text
        at.screen.set_filter("since:2000-01-01 until:1s")
        await at.settle()
        assert len(listed(at)) == 3
        at.screen.set_filter("where:event_count > 9 AND workflow_id <> 'order-1'")
        await at.settle()
        assert listed(at) == ["order-2", "order-3"]
        at.screen.set_filter("")
        await at.press("o", "v")
        assert listed(at) == ["order-3", "order-2", "order-1"]
        assert "Workflow ↓" in at.text
        await at.press("O", "O", "r")
        assert "Verdict ↓" in at.text

    drive(walk)


def test_runs_are_marked_and_compared(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("d")
        assert any("mark two runs" in text for text in at.said)
        await at.press("asterisk")
        assert len(at.screen.marks) == 3
        await at.press("asterisk", "space", "space")
        assert len(at.screen.marks) == 2
        assert at.text.count("●") == 2
        await at.press("d")
        assert at.name == "CompareScreen"
        lines = at.text
        assert "~" in lines
        assert "25" in at.screen.query_one("#changes").plain_text
        first = at.screen.grid.cursor
        await at.press("n")
        assert at.screen.grid.cursor > first
        await at.press("N", "N")
        assert at.screen.grid.cursor == first
        everything = at.screen.grid.count
        await at.press("f")
        assert at.screen.grid.count < everything
        await at.press("f", "y", "right", "left")
        assert json.loads(at.app.clipboard)["mark"] == "~"
        await at.press("O")
        assert (at.name, at.screen.opened.row["workflow_id"]) == ("DebuggerScreen", "order-2")
        await at.press("q", "o")
        assert at.screen.opened.row["workflow_id"] == "order-1"
        await at.press("q", "G", "o")
        assert any("left run has no event" in text for text in at.said)
        await at.press("enter")
        assert at.screen.opened.row["workflow_id"] == "order-2"

    drive(walk)


def test_problems_lead_to_their_events(drive: Drive, tmp_path: Path) -> None:
    recordings.store(tmp_path / "odd.duckdb", *recordings.recorded("build_id_default"))

    async def walk(at: Driver) -> None:
        await at.press("p")
        assert "hash-build-id" in at.text
        await at.press("enter")
        assert at.name == "DebuggerScreen"

    drive(walk, store=tmp_path / "odd.duckdb")


def test_builds_lead_to_their_runs(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("b")
        assert at.name == "BuildsScreen"
        assert "━" in at.text
        await at.press("y", "r", "j", "k", "enter")
        assert at.app.clipboard == "v1"
        assert at.name == "RunsScreen"
        assert at.screen.query_one("#filter").value == "build:v1"
        assert len(listed(at)) == 3

    drive(walk)


def test_sql_shows_results_and_errors_and_reads_only(drive: Drive) -> None:
    async def ask(at: Driver, query: str) -> None:
        at.screen.editor.text = query
        await at.press("f5")

    async def walk(at: Driver) -> None:
        await at.press("s")
        assert at.name == "SqlScreen"
        await at.press("ctrl+r")
        assert "3 rows" in at.text or "2 rows" in at.text
        await at.press("slash")
        assert at.screen.focused is at.screen.editor
        await at.press("escape", "enter")
        assert any("the row has no run" in text for text in at.said)
        for query, words in (
            ("SELEC", "the query failed"),
            ("", "the query is empty"),
            ("DELETE FROM run", "read-only"),
            ("FROM read_csv('/etc/passwd')", "outside the store"),
            ("FROM runs WHERE false", "no rows"),
            ("SELECT 'a' AS \"x[bold]\", '\x1b[31m' AS y", "\\x1b[31m"),
        ):
            await ask(at, query)
            assert words in at.text, query
        await ask(at, "SELECT range AS n FROM range(20000)")
        assert "the first 10,000 rows" in at.text
        await ask(at, "SELECT run_key, event_id FROM events WHERE event_type = 'TimerFired' ORDER BY ALL")
        await at.press("y", "enter")
        assert json.loads(at.app.clipboard)["event_id"] == 17
        assert at.stop == 17

    drive(walk)


def test_help_palette_and_the_ways_between_screens(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        for key, name in (("f3", "BuildsScreen"), ("f4", "SqlScreen"), ("f2", "RunsScreen"), ("f4", "SqlScreen")):
            await at.press(key)
            assert at.name == name
        await at.press("escape", "f1")
        assert "run the query" in at.text
        await at.press("escape", "q", "question_mark")
        assert "mark or unmark the run" in at.text
        await at.press("q", "ctrl+p")
        assert at.name == "CommandPalette"
        await at.press("escape", "q")
        assert at.app._exit

    drive(walk)


def test_a_store_without_runs_and_no_store_at_all(drive: Drive, tmp_path: Path) -> None:
    session = recordings.store(tmp_path / "empty.duckdb", recordings.generated(tmp_path / "a.json", 1))

    async def absent(at: Driver) -> None:
        assert "there is no store at gone.duckdb" in at.text
        assert "replaytool load" in at.text
        for key in ("enter", "space", "asterisk", "d", "p", "o", "v", "y", "r", "f3"):
            await at.press(key)
        assert "there is no store" in at.text

    async def nothing(at: Driver) -> None:
        assert "the store has no runs yet" in at.text

    drive(absent, store=tmp_path / "gone.duckdb")
    with session.store.open_writer() as writer:
        for table in ("run", "event", "problem", "run_build"):
            writer._connection.execute(f"DELETE FROM {table}")
    drive(nothing, store=tmp_path / "empty.duckdb")


def test_a_pane_that_was_out_of_sight_shows_what_came_meanwhile_from_its_top(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("enter", "1")
        pane = at.screen.panes.payload
        pane.scroll_to(y=3, animate=False, force=True)
        await at.press("2")
        at.screen.stop_at_index(4)
        await at.settle()
        await at.press("1")
        assert pane.scroll_y == 0
        assert pane.plain_text.splitlines()[0].startswith("5 ")
        assert pane.plain_text.splitlines()[0] in at.text

    drive(walk, (80, 24))


def test_the_place_comes_back(drive: Drive, state: Path) -> None:
    async def leave(at: Driver) -> None:
        at.app.theme = "nord"
        await at.press("o", "v", "k", "enter", "s", "s", "b")

    async def back(at: Driver) -> None:
        assert at.app.theme == "nord"
        assert (at.name, at.stop) == ("DebuggerScreen", 10)
        assert at.screen.opened.row["workflow_id"] == "order-2"
        assert len(at.app.breakpoints) == 2
        await at.press("q")
        assert listed(at) == ["order-3", "order-2", "order-1"]
        assert at.screen.grid.current_row["workflow_id"] == "order-2"

    async def list_again(at: Driver) -> None:
        assert at.name == "RunsScreen"

    drive(leave)
    drive(back)
    drive(list_again)
    (file,) = state.rglob("*.json")
    file.write_text('{"theme": 5, "filter": [], "event": "x", "breakpoints": ["a b c", 3]}')
    assert place.load_saved_place(file) == place.SavedPlace(breakpoints=("a b c",))
    file.write_bytes(b"\xff{")
    drive(list_again)


def test_state_that_cannot_be_written_disturbs_nobody(drive: Drive, state: Path) -> None:
    state.write_text("a file where a folder should be")

    async def walk(at: Driver) -> None:
        await at.press("enter", "n")

    drive(walk)


def test_without_colour_nothing_is_coloured_and_the_cursor_is_seen(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def walk(at: Driver) -> None:
        strips = [strip.apply_filter(at.app._filters[-1], at.app.screen.background_colors[1])
                  for strip in at.screen._compositor.render_strips()]  # fmt: skip
        styles = [segment.style for strip in strips for segment in strip if segment.style]
        colours = [colour for style in styles for colour in (style.color, style.bgcolor) if colour]
        assert all(colour.is_default for colour in colours)
        assert at.screen.grid.role_style("cursor").reverse

    drive(walk)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "solarized-light", "nord"])
def test_every_role_can_be_read_in_every_theme(drive: Drive, theme: str) -> None:
    async def walk(at: Driver) -> None:
        at.app.theme = theme
        await at.settle()
        for name in ("", *ROLES):
            assert _contrast(at.screen.grid.role_style(name)) > 2.3, name

    drive(walk)


def _contrast(style: Style) -> float:
    assert style.color is not None
    assert style.bgcolor is not None
    low, high = sorted(_light(color.get_truecolor()) for color in (style.color, style.bgcolor))
    return float((high + 0.05) / (low + 0.05))


def _light(triplet: tuple[int, int, int]) -> float:
    parts = [part / 255 / 12.92 if part < 11 else float(((part / 255 + 0.055) / 1.055) ** 2.4) for part in triplet]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize(
    ("name", "size", "presses"),
    [
        ("runs-80x24", (80, 24), ["space", "j"]),
        ("runs-140x40", (140, 40), ["space", "j"]),
        ("debugger-80x24", (80, 24), ["j", "enter", "s", "s", "s", "n", "2"]),
        ("debugger-110x35", (110, 35), ["j", "enter", "c"]),
        ("debugger-140x40", (140, 40), ["j", "enter", "s", "s", "s", "n"]),
        ("builds-110x35", (110, 35), ["b"]),
        ("compare-110x35", (110, 35), ["space", "space", "d"]),
        ("sql-80x24", (80, 24), ["s", "f5"]),
        ("help-80x24", (80, 24), ["enter", "question_mark"]),
    ],
)
def test_screens_look_as_they_did(drive: Drive, name: str, size: tuple[int, int], presses: list[str]) -> None:
    async def walk(at: Driver) -> None:
        await at.press(*presses)
        matches(name, await at.picture())

    drive(walk, size)


def test_every_key_of_the_table_has_an_action(drive: Drive) -> None:
    from replaytool.tui.app import ReplayApp
    from replaytool.tui.debugger import screen as debugger
    from replaytool.tui.dialogs import prompts as dialogs
    from replaytool.tui.screens import builds, causes, compare, runs, sql
    from replaytool.tui.screens import reset as resets
    from replaytool.tui.widgets import line_list as painter
    from replaytool.tui.widgets import table as grid

    owners = {
        "Everywhere": ReplayApp, "Lists": painter.LineView, "Tables": grid.DataGrid, "Runs": runs.RunsScreen,
        "Debugger": debugger.DebuggerScreen, "Causes": causes.CausesScreen, "Builds": builds.BuildsScreen,
        "Reset": resets.ResetScreen, "Compare": compare.CompareScreen, "SQL": sql.SqlScreen, "Dialogs": dialogs.Dialog,
    }  # fmt: skip
    assert owners.keys() == keys.KEYS.keys()
    for group, rows in keys.KEYS.items():
        for row in rows:
            action = row.action.partition("(")[0].removeprefix("app.")
            found = hasattr(owners[group], f"action_{action}") or hasattr(ReplayApp, f"action_{action}")
            assert found or action == "choose", (group, row)
    assert all(issubclass(screen, base.BaseScreen) for screen in SCREENS_BY_KEY.values())


def test_the_page_lists_the_keys() -> None:
    page = (ROOT / "docs" / "tui.md").read_text(encoding="utf-8")
    assert keys.format_key_tables() in page, "run: python -m replaytool.tui.keys docs/tui.md"
