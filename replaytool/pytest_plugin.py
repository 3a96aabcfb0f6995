"""The pytest plugin: recorded histories as tests, and a fixture that replays what a test has just recorded.

pytest imports this file in every project that has replaytool installed. Without configuration it does nothing and
imports nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from _pytest._code.code import TerminalRepr

    from replaytool.check.single_history import HistoryChecker
    from replaytool.engines import CodeSpec
    from replaytool.model.verdict import CallSite, CheckReport
    from replaytool.sources import HistorySource

HISTORIES, WORKFLOWS, FAIL_ON = "replay_histories", "replay_workflows", "replay_fail_on"
Replay = Callable[..., Awaitable["CheckReport"]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the configuration keys; `[tool.replaytool]` holds the rest."""
    parser.addini(HISTORIES, "files, folders and patterns of recorded histories to replay as tests", "linelist", [])
    parser.addini(WORKFLOWS, "the workflow code to replay; default: workflows in [tool.replaytool]", "linelist", [])
    parser.addini(FAIL_ON, "the verdicts that fail a test: diverged,failed,…")


def pytest_configure(config: pytest.Config) -> None:
    """Register the collector if histories are configured."""
    if config.getini(HISTORIES):
        config.addinivalue_line("markers", "replay: a recorded history that is replayed against the workflow code")
        config.pluginmanager.register(_HistoryCollector(config), "replaytool_histories")


@pytest.fixture(scope="session")
def _judges(pytestconfig: pytest.Config) -> Iterator[_JudgePool]:
    judges = _JudgePool(pytestconfig)
    yield judges
    judges.close_judges()


@pytest.fixture
def replay(_judges: _JudgePool) -> Replay:
    """Replay a run that this test has just recorded.

    `await replay(handle, Order)` takes a workflow handle or a fetched history, and the workflow classes, modules or
    files to replay it with; without any, the configured code. It returns the report, and fails the test if the code
    does not follow the history.
    """

    async def replay_recorded(recorded: Any, *workflows: type | ModuleType | str) -> CheckReport:
        from replaytool.check.single_history import source_from_memory

        history = await recorded.fetch_history() if hasattr(recorded, "fetch_history") else recorded
        judge = _judges.find_judge(tuple(_find_source_file(one) for one in workflows))
        report = judge.check_source(source_from_memory(history.to_json(), history.workflow_id))
        if _judges.is_bad(report):
            raise DoesNotFollow(report)
        return report

    return replay_recorded


class DoesNotFollow(AssertionError):
    """The code does not follow a recorded history; the message is the whole report."""

    def __init__(self, report: CheckReport) -> None:
        from replaytool.render import render
        from replaytool.text import hide_url_secrets

        text = hide_url_secrets(render(report, "text"))
        super().__init__(f"the code does not follow the recorded history\n{text}")
        self.report = report

    @property
    def headline(self) -> str:
        """What went wrong, in one line."""
        from replaytool.text import escape_controls, hide_url_secrets

        said = "; ".join(f"{cause.verdict}: {cause.message}" for cause in self.report.causes) or "drift"
        return escape_controls(hide_url_secrets(said))

    @property
    def call_site(self) -> CallSite | None:
        """The line of the workflow to look at first."""
        return next((one.verdict.call_site for one in self.report.runs if one.verdict.call_site), None)


class _JudgePool:
    """One judge per code, each with a child process for the whole session, and the settings of all."""

    def __init__(self, config: pytest.Config) -> None:
        from replaytool import config as configuration
        from replaytool.check.check_runs import choose_failing_verdicts

        self.folder = config.rootpath
        self.workflows = tuple(config.getini(WORKFLOWS))
        self.settings = configuration.load_settings({}, self.folder)
        self._failing = choose_failing_verdicts(config.getini(FAIL_ON) or None, strict=False, allow_unverified=False)
        self._found: dict[tuple[str, ...], HistoryChecker] = {}

    def find_judge(self, workflows: tuple[str, ...] = ()) -> HistoryChecker:
        """Return the judge for this code, or for the configured code."""
        from replaytool.check.single_history import HistoryChecker
        from replaytool.engines import Options
        from replaytool.replay.compare.drift import check_policy

        if workflows not in self._found:
            options = Options(policy=check_policy(self.settings.drift))
            self._found[workflows] = HistoryChecker(self._make_code_spec(workflows), options)
        return self._found[workflows]

    def _make_code_spec(self, workflows: tuple[str, ...]) -> CodeSpec:
        from replaytool.engines import make_code_spec
        from replaytool.errors import ErrorCode, ReplaytoolError

        named = workflows or self.workflows
        if not (named or self.settings.workflows):
            hint = f'set {WORKFLOWS} beside {HISTORIES}, or workflows = ["…"] in [tool.replaytool]'
            raise ReplaytoolError("no workflow code given", hint, code=ErrorCode.CODE_NOT_NAMED)
        return make_code_spec(self.settings, named, str(self.folder))

    def is_bad(self, report: CheckReport) -> bool:
        """Return whether a test fails with this report."""
        return any(
            one.verdict.verdict in self._failing or any(drift.level == "error" for drift in one.verdict.drift)
            for one in report.runs
        )

    def close_judges(self) -> None:
        for judge in self._found.values():
            judge.close_worker()


def _find_source_file(workflow: type | ModuleType | str) -> str:
    """Return the file of a class or module, from which a child process imports it."""
    import inspect

    return workflow if isinstance(workflow, str) else str(Path(inspect.getfile(workflow)).resolve())


class _HistoryCollector:
    """Collect the configured history files. Registered only if some are configured."""

    def __init__(self, config: pytest.Config) -> None:
        self._sources = _find_sources(config)
        self.judges = _JudgePool(config)
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
        """Set the place of a failure to the workflow's line instead of the history."""
        report = yield
        site = call.excinfo.value.call_site if call.excinfo and isinstance(call.excinfo.value, DoesNotFollow) else None
        if site is not None and isinstance(item, _HistoryItem):
            from replaytool.render.code_frame import make_path_relative

            report.location = (make_path_relative(site.file), site.line - 1, report.location[2])
        return report

    def pytest_unconfigure(self) -> None:
        self.judges.close_judges()


def _find_sources(config: pytest.Config) -> dict[Path, HistorySource]:
    """Return the configured files by path. A missing file is an error, not a passing test."""
    from replaytool.errors import ReplaytoolError
    from replaytool.sources import open_sources

    try:
        found = open_sources([str(config.rootpath / one) for one in config.getini(HISTORIES)])
        return {Path(source.name): source for source in found}
    except ReplaytoolError as error:
        from replaytool.text import hide_url_secrets

        raise pytest.UsageError(hide_url_secrets(f"{HISTORIES}: {error.format_line()}")) from None


def _is_covered(path: Path, config: pytest.Config) -> bool:
    return any(path.is_relative_to(config.invocation_params.dir / argument) for argument in config.args)


class _HistoryFile(pytest.File):
    """A file with recorded histories, read when its test runs because every xdist worker collects it."""

    def __init__(self, *, source: HistorySource, judges: _JudgePool, **given: Any) -> None:
        super().__init__(**given)
        self.source = source
        self.judges = judges

    def collect(self) -> Iterator[pytest.Item]:
        yield _HistoryItem.from_parent(self, name="replay")


class _HistoryItem(pytest.Item):
    """The replay of all runs in one file."""

    parent: _HistoryFile

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.add_marker("replay")

    def runtest(self) -> None:
        judges = self.parent.judges
        report = judges.find_judge().check_source(self.parent.source)
        for one in report.runs:
            self.user_properties.append((one.subject.workflow_id or one.subject.run_key, one.verdict.verdict))
        if judges.is_bad(report) or not report.runs:
            raise DoesNotFollow(report)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str | TerminalRepr:
        """Return the report itself; a traceback through replaytool would not help."""
        from replaytool.errors import ReplaytoolError, append_code
        from replaytool.text import hide_url_secrets

        if isinstance(excinfo.value, ReplaytoolError):
            told = f"{append_code(excinfo.value.message, excinfo.value.code)}\n  {excinfo.value.hint}"
            return hide_url_secrets(told)
        if isinstance(excinfo.value, DoesNotFollow):
            return _represent_failure(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"replay of {self.path.name}"


def _represent_failure(failure: DoesNotFollow) -> TerminalRepr:
    """Represent a failure so that place and headline reach the summary, annotations and other xdist processes."""
    from _pytest._code.code import ReprExceptionInfo, ReprFileLocation, ReprTracebackNative

    from replaytool.render.code_frame import make_path_relative

    site = failure.call_site
    crash = ReprFileLocation(make_path_relative(site.file), site.line, failure.headline) if site else None
    end = f"{crash.path}:{crash.lineno}: {failure.headline}\n" if crash else ""
    return ReprExceptionInfo(ReprTracebackNative([f"{failure}\n{end}"]), crash)
