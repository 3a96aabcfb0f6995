"""The journals of the toy engine: one file of JSON lines, or a folder of them that is one place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from replaytool.errors import ErrorCode
from replaytool.formats.base import Unreadable
from replaytool.model.history import Event, Run, RunHints

MARKER = ".toy-journals"
STARTED, STEP, ENDED = "ProgramStarted", "StepRecorded", "ProgramEnded"
_STATUS = {"completed": "Completed", "failed": "Failed"}


class JournalFile:
    """One journal."""

    name = "toy-journal"
    engine = "toy"
    about = "Journals of the toy engine: JSON lines"

    def matches_head(self, head: bytes) -> bool:
        """Return whether this is a journal."""
        return head.startswith(b'{"journal": "toy/')

    def read_runs(self, stream: BinaryIO, hints: RunHints) -> Iterator[Run]:
        """Yield the one run."""
        yield read_journal(stream.read(), self.name)


class JournalFolder:
    """A folder with a marker file in it: its journals belong together, whatever their names."""

    name = "toy-folder"
    engine = "toy"
    about = "Folders of journals of the toy engine"

    def claims_place(self, place: str) -> bool:
        """Return whether the folder is ours."""
        return (Path(place) / MARKER).is_file()

    def read_place(self, place: str) -> Iterator[Run]:
        """Yield a run for each journal."""
        for path in sorted(Path(place).glob("*.journal")):
            yield read_journal(path.read_bytes(), self.name)


def read_journal(data: bytes, format_name: str) -> Run:
    """Return the run that a journal holds."""
    lines = [line for line in data.splitlines() if line.strip()]
    try:
        events = [event_of(index + 1, line) for index, line in enumerate(lines)]
    except (ValueError, KeyError) as error:
        raise Unreadable(f"a damaged journal: {error}", "copy it again", code=ErrorCode.FORMAT_INVALID_JSON) from error
    head = json.loads(lines[0])
    return Run(
        engine="toy",
        format=format_name,
        events=events,
        workflow_type=head["program"],
        status=_STATUS.get(json.loads(lines[-1]).get("end", ""), "Running"),
        run_id_from="wrapper",
        sha256=hashlib.sha256(b"\n".join(lines)).hexdigest(),
        workflow_id=head["id"],
        run_id=head["run"],
    )


def event_of(event_id: int, line: bytes) -> Event:
    """Return the event that one line is."""
    entry = json.loads(line)
    kind = STARTED if "journal" in entry else ENDED if "end" in entry else STEP
    return Event(event_id, kind, entry["at"], entry.get("build"), json.dumps(entry | {"eventId": event_id}).encode())


def entries_of(run: Run) -> list[Mapping[str, Any]]:
    """Return the lines of a journal again."""
    return [json.loads(event.raw) for event in run.events]


FILE, FOLDER = JournalFile(), JournalFolder()
