"""Find the workflows of a project that names none: in its packages, its `src`, and its workers' lists."""

from __future__ import annotations

from dataclasses import dataclass

from replaytool.replay.code.project_reader import ProjectReader

_MOST_NAMED = 6


@dataclass(frozen=True)
class ProjectCode:
    """The files of a project that have its workflows, relative to its folder."""

    defining: tuple[str, ...] = ()
    """Files that define workflows."""
    registered: tuple[str, ...] = ()
    """Other files that a worker takes workflows from."""

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.defining, *self.registered)

    def describe_files(self) -> str:
        """Return which files were taken."""
        more = f" and {len(self.files) - _MOST_NAMED} more" if len(self.files) > _MOST_NAMED else ""
        return f"{', '.join(self.files[:_MOST_NAMED])}{more}"


def find_project_code(reader: ProjectReader) -> ProjectCode:
    """Return the workflows' files. Only their text is read."""
    defining = reader.list_workflow_files()
    registered = set()
    for call in reader.setup_calls:
        listed = call.keywords.get(call.names.workflows) if call.kind == "worker" else None
        objects = reader.list_objects(listed, call.file, call.scope) if listed is not None else None
        registered |= {one.file for one in objects or () if one.file is not None and one.file.is_file()}
    return ProjectCode(
        tuple(reader.name_place(file) for file in defining),
        tuple(sorted(reader.name_place(file) for file in registered - set(defining))),
    )
