"""Compare a report with what the code at the merge base says about the same runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from replaytool.check.baseline import mark_known_findings
from replaytool.check.check_runs import CheckPlan, Progress, check_runs
from replaytool.engines import CodeSpec
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.verdict import BaseCode, CheckReport, CodeInfo
from replaytool.replay.code.code_spec import names_file, split_class_name
from replaytool.replay.code.git_worktrees import Worktrees
from replaytool.store import RunRow, Store
from replaytool.text import escape_controls
from replaytool.workers.pool import load_code_info

_MOST_NAMED = 5


def compare_with_base(
    report: CheckReport,
    ref: str,
    store: Store,
    rows: Sequence[RunRow],
    plan: CheckPlan,
    progress: Progress | None = None,
) -> CheckReport:
    """Return the report with the verdicts of the merge base with `ref`, so that only new findings fail."""
    with Worktrees(find_repository_folder(plan.spec)) as trees:
        commit = trees.find_merge_base(ref)
        spec = drop_missing_files(trees.check_out_code(plan.spec, commit, ref).spec)
        try:
            # Stored verdicts hold file paths, and this checkout is removed right after.
            before = check_runs(store, rows, replace(plan, spec=spec, keep=False), progress)
        except ReplaytoolError as error:
            missing = trees.find_uncommitted_files(report.code.files.values())
            return replace(report, base=BaseCode(ref, commit, _describe_trouble(error.message, missing)))
        lost = [one for one in before.code.not_imported if one not in report.code.not_imported]
        missing = trees.find_uncommitted_files(report.code.files.values()) if lost else []
    require_own_modules(report.code, before.code)
    trouble = _describe_trouble("; ".join(lost), missing) if lost else ""
    base = BaseCode(ref, commit, trouble, files=before.code.loaded)
    report = replace(report, base=base, complete=report.complete and before.complete)
    return mark_known_findings(report, {one.subject.run_key: one for one in before.runs})


def _describe_trouble(message: str, missing: Sequence[str]) -> str:
    """Return why the base cannot be replayed, with the files that only the checkout has."""
    if not missing:
        return message
    named = ", ".join(escape_controls(name) for name in missing[:_MOST_NAMED])
    named += f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    return f"{message}; git does not hold {named}, so the base has no such file: commit what the code imports"


def require_different_trees(ref: str, spec: CodeSpec) -> None:
    """Raise ReplaytoolError if the base is the very code that is checked: such a comparison always passes."""
    with Worktrees(find_repository_folder(spec)) as trees:
        commit = trees.find_merge_base(ref)
        if commit != trees.resolve_commit("HEAD") or trees.has_changed_files():
            return
        if trees.has_untracked_files(load_code_info(spec).files.values()):
            return
    raise ReplaytoolError(
        f"the merge base with {escape_controls(ref)} is HEAD itself ({commit[:12]}), and no file has changed: "
        "code that is compared with itself breaks nothing",
        "name the branch that the change is merged into: `--base origin/main`; on that branch itself, leave --base out",
        code=ErrorCode.CODE_SAME_TREE,
    )


def require_own_modules(head: CodeInfo, base: CodeInfo) -> None:
    """Raise ReplaytoolError if a named module is the same file for the change and for its base."""
    for name in head.modules:
        file = head.files.get(name)
        if file is not None and file == base.files.get(name):
            raise ReplaytoolError(
                f"module {escape_controls(name)} comes from {escape_controls(file)} for the base too: "
                "that file is not in the repository",
                "name the module's file or folder in the repository with --workflows",
                code=ErrorCode.CODE_ELSEWHERE,
            )


def find_repository_folder(spec: CodeSpec) -> Path:
    """Return an existing folder of the repository that holds the code."""
    folder = Path(spec.folder or ".")
    paths = [folder / split_class_name(item)[0] for item in spec.workflows if names_file(item)]
    found = next((path for path in paths if path.exists()), folder)
    return found if found.is_dir() else found.parent


def drop_missing_files(spec: CodeSpec) -> CodeSpec:
    """Return the spec without files that do not exist at the base, because the change adds them."""
    kept = [
        item
        for item in spec.workflows
        if not names_file(item) or (Path(spec.folder) / split_class_name(item)[0]).exists()
    ]
    return replace(spec, workflows=tuple(kept or spec.workflows))
