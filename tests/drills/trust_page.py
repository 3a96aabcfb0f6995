"""Write the figures of the drills into docs/trust.md, between two marks."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from tests.drills.differential_drill import Tally

BEGIN, END = "<!-- figures: written by tests.drills.measure -->", "<!-- end of figures -->"
_SAID = ("ok", "nondeterminism", "code", "fatal", "history")
_DISAGREE = ("false green", "false alarm", "undecided")


def write_page(page: Path, tallies: Mapping[str, Tally], first: int, comparisons: int) -> None:
    """Replace the figures of the page."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    lines = "\n".join(format_figures(tallies, first, comparisons))
    page.write_text(f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}", encoding="utf-8")


def format_figures(tallies: Mapping[str, Tally], first: int, comparisons: int) -> Iterator[str]:
    """The lines between the marks."""
    total = sum(one.compared for one in tallies.values())
    wrong = sum(len(one.disagreements) for one in tallies.values())
    yield f"{total:,} pairs of code and history compared, {wrong} disagreements."
    yield ""
    said = "SDK: ok | nondeterminism | task fails | fatal error | history refused"
    yield f"| kind of comparison | pairs | {said} | same verdict |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for name, one in tallies.items():
        said = " | ".join(f"{one.count_said(word):,}" for word in _SAID)
        yield f"| {name} | {one.compared:,} | {said} | {one.compared - len(one.disagreements):,} |"
    yield ""
    yield "| kind of comparison | false greens | false alarms | undecided | other | malformed | no answer of the SDK |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for name, one in tallies.items():
        kinds = [next((kind for kind in _DISAGREE if kind in said), "other") for said in one.disagreements]
        counts = [*(kinds.count(kind) for kind in _DISAGREE), kinds.count("other"), one.malformed, len(one.unanswered)]
        yield f"| {name} | {' | '.join(f'{count:,}' for count in counts)} |"
    drift = sum(count for one in tallies.values() for word, count in one.words.items() if word.endswith("/drift"))
    yield ""
    yield f"Told by replaytool alone: {drift:,} pairs with drift, which the SDK's replayer passes."
    yield ""
    versions = f"replaytool {version('replaytool')}, temporalio {version('temporalio')}"
    yield f"First seed {first}; {versions}, Python {platform.python_version()}. To run it again:"
    yield ""
    yield "```sh slow"
    yield f"python -m tests.drills.measure --first {first} --comparisons {comparisons} --write docs/trust.md"
    yield "```"
