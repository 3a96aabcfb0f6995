"""Files, folders, patterns, standard input: what is offered, under which name, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from replaytool.errors import ReplaytoolError
from replaytool.sources import HistorySource, SourceUnavailable, hints_from_name, open_sources

RUN = "0191c1a2-7d4e-7bd2-9a3f-1f2e3d4c5b6a"
OTHER = "3f2b1a00-0000-4000-8000-00000000000a"


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def names(*arguments: object) -> list[str]:
    return [source.name for source in open_sources([str(argument) for argument in arguments])]


def content(source: HistorySource) -> bytes:
    with source.open() as stream:
        return stream.read()


def relative(folder: Path, found: Sequence[str]) -> list[str]:
    return [os.path.relpath(name, folder) for name in found]


def refusal(*arguments: object, exit_code: int = 2) -> ReplaytoolError:
    with pytest.raises(ReplaytoolError) as raised:
        open_sources([str(argument) for argument in arguments])
    assert raised.value.exit_code == exit_code
    assert raised.value.hint
    return raised.value


def test_a_folder_is_walked_in_order_without_what_is_hidden_or_empty(tmp_path: Path) -> None:
    write(tmp_path, "b.json", "a/2.bin", "a/1.JSON", "c", ".git/config", "a/.hidden", "z/deep/er/x.gz")
    (tmp_path / "empty.json").touch()
    assert relative(tmp_path, names(tmp_path)) == ["a/1.JSON", "a/2.bin", "b.json", "c", "z/deep/er/x.gz"]


def test_code_and_documentation_beside_histories_are_offered_only_by_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.json",
        "README.md",
        "workflow.py",
        "replaytool.duckdb",
        "replaytool.duckdb.wal",
        "deep/__pycache__/workflow.pyc",
    )
    assert relative(tmp_path, names(tmp_path)) == ["a.json"]
    assert relative(tmp_path, names(tmp_path / "workflow.py", f"{tmp_path}/*.md")) == ["workflow.py", "README.md"]
    (tmp_path / "a.json").unlink()
    assert "no files with histories" in refusal(tmp_path, exit_code=5).message


def test_a_hidden_folder_that_is_named_is_walked(tmp_path: Path) -> None:
    write(tmp_path, ".cache/a.json")
    assert relative(tmp_path, names(tmp_path / ".cache")) == [".cache/a.json"]


def test_arguments_keep_their_order_and_each_file_its_content(tmp_path: Path) -> None:
    write(tmp_path, "b.json", "a.json")
    found = list(open_sources([str(tmp_path / "b.json"), str(tmp_path / "a.json")]))
    assert [content(source) for source in found] == [b"b.json", b"a.json"]


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, "a/x.json")
    for name in ("loop", "again"):
        (tmp_path / "a" / name).symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to("self")
    found = relative(tmp_path, names(tmp_path))
    assert found == ["a/self", "a/x.json"]
    assert relative(tmp_path, names(tmp_path / "**" / "*.json")) == ["a/x.json"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.json", ["a.json"]),
        ("**/*.json", ["a.json", "runs/b.json", "runs/deep/c.json"]),
        ("**", ["a.json", "runs/b.json", "runs/deep/c.json", "runs/deep/d.txt"]),
        ("runs/*", ["runs/b.json", "runs/deep/c.json", "runs/deep/d.txt"]),
        ("runs/*/[cd].*", ["runs/deep/c.json", "runs/deep/d.txt"]),
        ("r?ns/**/**/d*.txt", ["runs/deep/d.txt"]),
        (".hid*/*", [".hidden/e.json"]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    write(tmp_path, "a.json", "runs/b.json", "runs/deep/c.json", "runs/deep/d.txt", ".hidden/e.json")
    assert relative(tmp_path, names(tmp_path / pattern)) == expected


def test_patterns_are_relative_to_where_the_person_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.json", "runs/b.json")
    monkeypatch.chdir(tmp_path)
    assert names("*.json") == ["a.json"]
    assert names("**/*.json") == ["a.json", "runs/b.json"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, "a[1].json", "a1.json")
    assert relative(tmp_path, names(tmp_path / "a[1].json")) == ["a[1].json"]


def test_what_cannot_be_found_is_named_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path, "good.json")
    assert "no file or folder" in refusal(tmp_path / "good.json", tmp_path / "missing.json").message
    assert "*.nope" in refusal(tmp_path / "*.nope").message
    assert "nothing matches" in refusal(tmp_path / "nowhere" / "**").message
    (tmp_path / "empty").mkdir()
    assert "no files with histories" in refusal(tmp_path / "empty", exit_code=5).message
    assert "ftp://" in refusal("ftp://host/x").message
    assert "\\x1b" in refusal("\x1b[31m").message
    assert "another machine" in refusal("file://elsewhere/x").message


def test_with_keep_going_one_missing_place_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "z.json")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    arguments = [str(tmp_path / name) for name in ("a.json", "missing", "loop", "empty", "pipe", "z.json")]
    first, *broken, last = open_sources(arguments, keep_going=True)
    assert (content(first), content(last)) == (b"a.json", b"z.json")
    reasons = []
    for source in broken:
        with pytest.raises(SourceUnavailable) as raised:
            source.open()
        reasons.append(str(raised.value))
    assert [source.name for source in broken] == arguments[1:5]
    for reason, words in zip(reasons, ("no file or folder", "symbolic", "no files", "named pipe"), strict=True):
        assert words in reason
    with pytest.raises(ReplaytoolError, match="no file or folder"):
        open_sources(arguments[1:5], keep_going=True)
    with pytest.raises(ReplaytoolError, match="ftp://"):
        open_sources([arguments[0], "ftp://host/x"], keep_going=True)


def test_a_named_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "named pipe" in refusal(tmp_path / "pipe").message


def test_an_explicitly_named_empty_file_is_offered(tmp_path: Path) -> None:
    (tmp_path / "empty.json").touch()
    assert [content(source) for source in open_sources([str(tmp_path / "empty.json")])] == [b""]


def test_file_addresses(tmp_path: Path) -> None:
    write(tmp_path, "with space?#.json")
    uri = "file://" + str(tmp_path / "with%20space?#.json")
    assert [content(source) for source in open_sources([uri])] == [b"with space?#.json"]


def test_standard_input_is_unpacked_and_stays_open() -> None:
    stdin = io.BytesIO(gzip.compress(b"history"))
    (source,) = open_sources(["-"], stdin)
    assert content(source) == b"history"
    assert not stdin.closed
    with pytest.raises(ReplaytoolError, match="twice"):
        open_sources(["-", "-"])


def test_a_pipe_gives_a_whole_head_however_it_is_written() -> None:
    read, write_end = os.pipe()
    if os.fork() == 0:
        for _ in range(64):
            os.write(write_end, b"x" * 1024)
        os._exit(0)
    os.close(write_end)
    (source,) = open_sources([f"/dev/fd/{read}"])
    with source.open() as stream:
        assert len(stream.read(64 * 1024)) == 64 * 1024
    os.close(read)
    os.wait()


def test_one_file_that_cannot_be_opened_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "z.json")
    (tmp_path / "m.json").symlink_to("nowhere")
    first, broken, last = open_sources([str(tmp_path)])
    assert (content(first), content(last)) == (b"a.json", b"z.json")
    with pytest.raises(FileNotFoundError):
        broken.open()


def as_nobody(check: Callable[[], None]) -> None:
    """The superuser may read everything: permissions are tested by a child that is somebody else."""
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            check()
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_permissions(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        if folder.owner() == Path.home().owner() and folder != Path("/tmp"):
            folder.chmod(0o755)
    write(tmp_path, "in/a.json", "in/b.json", "in/closed/c.json")
    (tmp_path / "in/b.json").chmod(0)
    (tmp_path / "in/closed").chmod(0)

    def check() -> None:
        good, unreadable, closed = open_sources([str(tmp_path / "in")])
        assert content(good) == b"in/a.json"
        for source in (unreadable, closed):
            with pytest.raises(PermissionError):
                source.open()
        assert "Permission denied" in refusal(tmp_path / "in/closed").message

    as_nobody(check)
    (tmp_path / "in/closed").chmod(0o755)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.json")).write_text("x")
    (source,) = open_sources([str(tmp_path)])
    assert source.name.endswith("caf\\xe9.json")
    assert content(source) == b"x"


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        (f"order-17_{RUN}.json", RUN),
        (f"{RUN.upper()}_events.json.gz", RUN),
        (f"x/{RUN}/events.json", RUN),
        (f"{RUN}/{OTHER}.json", OTHER),
        (f"{RUN}_{RUN}.json", RUN),
        (f"{RUN}_{OTHER}.json", None),
        (f"x-{RUN}/events.json", None),
        (f"a{RUN}.json", None),
        (f"{RUN}/deeper/events.json", None),
        ("events.json", None),
    ],
)
def test_hints_from_a_name(name: str, run_id: str | None) -> None:
    hints = hints_from_name(name)
    assert (hints.name, hints.run_id, hints.workflow_id) == (name, run_id, None)
