"""The pytest plugin: recorded histories as tests, and a fixture that replays what a test has just recorded.

pytest imports this file in every project where replaytool is installed. Where nothing is configured it does nothing,
and nothing else is imported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

    from replaytool.check.single_history import HistoryChecker
    from replaytool.engines import CodeSpec
    from replaytool.model.verdict import CallSite, CheckReport
    from replaytool.sources import HistorySource

HISTORIES, WORKFLOWS, FAIL_ON = "replay_histories", "replay_workflows", "replay_fail_on"
Replay = Callable[..., Awaitable["CheckReport"]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The keys of the configuration; `[tool.replaytool]` says the rest."""
    parser.addini(HISTORIES, "files, folders and patterns of recorded histories to replay as tests", "linelist", [])
    parser.addini(WORKFLOWS, "the workflow code to replay; default: workflows in [tool.replaytool]", "linelist", [])
    parser.addini(FAIL_ON, "the verdicts that fail a test: diverged,failed,…")


def pytest_configure(config: pytest.Config) -> None:
    """Look for the histories, where some are configured."""
    if config.getini(HISTORIES):
        config.addinivalue_line("markers", "replay: a recorded history that is replayed against the workflow code")
        config.pluginmanager.register(_Histories(config), "replaytool_histories")


@pytest.fixture(scope="session")
def _judges(pytestconfig: pytest.Config) -> Iterator[_Judges]:
    judges = _Judges(pytestconfig)
    yield judges
    judges.close()


@pytest.fixture
def replay(_judges: _Judges) -> Replay:
    """Replay a run that this test has just recorded.

    `await replay(handle, Order)` takes a handle of a workflow or a fetched history, and the workflow classes, modules
    or files to replay it with; without any, the code that is configured. It returns the report, and fails the test
    where the code does not follow.
    """

    async def replayed(recorded: Any, *workflows: Any) -> CheckReport:
        from replaytool.check.single_history import source_from_memory

        history = await recorded.fetch_history() if hasattr(recorded, "fetch_history") else recorded
        judge = _judges.judge(tuple(_place(one) for one in workflows))
        report = judge.check_source(source_from_memory(history.to_json(), history.workflow_id))
        if _judges.is_bad(report):
            raise DoesNotFollow(report)
        return report

    return replayed


class DoesNotFollow(AssertionError):
    """The code does not follow a recorded history; the message is the whole report."""

    def __init__(self, report: CheckReport) -> None:
        from replaytool.render import render

        super().__init__("the code does not follow the recorded history\n" + render(report, "text"))
        self.report = report

    @property
    def headline(self) -> str:
        """What went wrong, in a line."""
        from replaytool.text import visible

        return visible("; ".join(f"{cause.verdict}: {cause.message}" for cause in self.report.causes) or "drift")

    @property
    def call_site(self) -> CallSite | None:
        """The line of the workflow to look at first."""
        return next((one.verdict.call_site for one in self.report.runs if one.verdict.call_site), None)


class _Judges:
    """Judges by their code, each with a child that stays for the session; and what they all go by."""

    def __init__(self, config: pytest.Config) -> None:
        from replaytool import config as configuration
        from replaytool.check.check_runs import choose_failing_verdicts

        self.folder = config.rootpath
        self.workflows = tuple(config.getini(WORKFLOWS))
        self.settings = configuration.load({}, self.folder)
        self._failing = choose_failing_verdicts(config.getini(FAIL_ON) or None, strict=False, allow_unverified=False)
        self._found: dict[tuple[str, ...], HistoryChecker] = {}

    def judge(self, workflows: tuple[str, ...] = ()) -> HistoryChecker:
        """The judge for this code, or for the code that is configured."""
        from replaytool.check.single_history import HistoryChecker
        from replaytool.engines import Options
        from replaytool.replay.compare.drift import check_policy

        if workflows not in self._found:
            options = Options(policy=check_policy(self.settings.drift))
            self._found[workflows] = HistoryChecker(self._spec(workflows), options)
        return self._found[workflows]

    def _spec(self, workflows: tuple[str, ...]) -> CodeSpec:
        from replaytool.engines import CodeSpec
        from replaytool.errors import ReplaytoolError

        named = workflows or self.workflows
        folder = self.folder if named else self.settings.folder
        if not (named or self.settings.workflows):
            hint = f'set {WORKFLOWS} beside {HISTORIES}, or workflows = ["…"] in [tool.replaytool]'
            raise ReplaytoolError("no workflow code was named", hint)
        chosen = named or self.settings.workflows
        return CodeSpec(chosen, self.settings.replayer, self.settings.converter, str(folder))

    def is_bad(self, report: CheckReport) -> bool:
        """Whether a test fails for it."""
        return any(
            one.verdict.verdict in self._failing or any(drift.level == "error" for drift in one.verdict.drift)
            for one in report.runs
        )

    def close(self) -> None:
        for judge in self._found.values():
            judge.close_worker()


def _place(workflow: Any) -> str:
    """The file of a class or module; a child process imports it from there."""
    import inspect

    return workflow if isinstance(workflow, str) else str(Path(inspect.getfile(workflow)).resolve())


class _Histories:
    """Collects the configured files, and is there only where some are configured."""

    def __init__(self, config: pytest.Config) -> None:
        self._sources = _sources(config)
        self.judges = _Judges(config)
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            # Nobody named what to run, so the histories run wherever they are.
            config.args += [str(path) for path in self._sources if not _is_covered(path, config)]

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> _HistoryFile | None:
        source = self._sources.get(file_path)
        if source is None:
            return None
        return _HistoryFile.from_parent(parent, path=file_path, source=source, judges=self.judges)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The place of a failure is the workflow's line, and not the history."""
        report = yield
        site = call.excinfo.value.call_site if call.excinfo and isinstance(call.excinfo.value, DoesNotFollow) else None
        if site is not None and isinstance(item, _HistoryItem):
            from replaytool.render.code_frame import relative

            report.location = (relative(site.file), site.line - 1, report.location[2])
        return report

    def pytest_unconfigure(self) -> None:
        self.judges.close()


def _sources(config: pytest.Config) -> dict[Path, HistorySource]:
    """The configured files by their paths; what is configured and not there is an error, and no green test."""
    from replaytool.errors import ReplaytoolError
    from replaytool.sources import open_sources

    try:
        found = open_sources([str(config.rootpath / one) for one in config.getini(HISTORIES)])
        return {Path(source.name): source for source in found}
    except ReplaytoolError as error:
        raise pytest.UsageError(f"{HISTORIES}: {error.message}; {error.hint}") from error


def _is_covered(path: Path, config: pytest.Config) -> bool:
    return any(path.is_relative_to(config.invocation_params.dir / argument) for argument in config.args)


class _HistoryFile(pytest.File):
    """A file with recorded histories. It is read when its turn comes, since every worker of xdist collects it."""

    def __init__(self, *, source: HistorySource, judges: _Judges, **given: Any) -> None:
        super().__init__(**given)
        self.source = source
        self.judges = judges

    def collect(self) -> Iterator[pytest.Item]:
        yield _HistoryItem.from_parent(self, name="replay")


class _HistoryItem(pytest.Item):
    """The replay of all that one file holds."""

    parent: _HistoryFile

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.add_marker("replay")

    def runtest(self) -> None:
        judges = self.parent.judges
        report = judges.judge().check_source(self.parent.source)
        for one in report.runs:
            self.user_properties.append((one.subject.workflow_id or one.subject.run_key, one.verdict.verdict))
        if judges.is_bad(report) or not report.runs:
            raise DoesNotFollow(report)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """The report itself: a traceback through replaytool would tell nothing."""
        from replaytool.errors import ReplaytoolError

        if isinstance(excinfo.value, ReplaytoolError):
            return f"{excinfo.value.message}\n  {excinfo.value.hint}"
        if isinstance(excinfo.value, DoesNotFollow):
            return _shown(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"replay of {self.path.name}"


def _shown(failure: DoesNotFollow) -> TerminalRepr:
    """In the form whose place and headline reach the summary, annotations and, through xdist, another process."""
    from _pytest._code.code import ReprExceptionInfo, ReprFileLocation, ReprTracebackNative

    from replaytool.render.code_frame import relative

    site = failure.call_site
    crash = ReprFileLocation(relative(site.file), site.line, failure.headline) if site else None
    end = f"{crash.path}:{crash.lineno}: {failure.headline}\n" if crash else ""
    return ReprExceptionInfo(ReprTracebackNative([f"{failure}\n{end}"]), crash)
