"""A project of the toy engine: its program, its journals, and the engine itself, installed in one of two ways."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

from tests.support.paths import ROOT

TOY = ROOT / "tests" / "toy_engine" / "toy"
PROGRAM = """from pathlib import Path

from toylib import program


def charge(amount):
    Path("steps-that-ran.log").open("a").write("charge\\n")
    return f"receipt for {amount}"


def mail(text):
    Path("steps-that-ran.log").open("a").write("mail\\n")
    return "sent"


@program("order")
class Order:
    def __init__(self):
        self.paid = 0

    def run(self, context, amount):
        receipt = context.step("charge", charge, amount)
        self.paid = amount
        context.step("mail", mail, receipt)
        if amount == 13:
            raise ValueError("unlucky")
        return receipt
"""
_CHARGE = 'context.step("charge", charge, amount)'
_MAIL = '        context.step("mail", mail, receipt)\n'
_LOG = '        context.step("log", mail, "x")\n'
_PAID = "        self.paid = amount\n"
_RETURN = "        return receipt\n"
_SWALLOWED = """        try:
            context.step("post", mail, receipt)
        except Exception:
            pass
"""
EDITS = {
    "same": ("", "", "ok"),
    "refactored": (f"receipt = {_CHARGE}", "receipt = self._pay(context, amount)", "ok"),
    "renamed": (_CHARGE, _CHARGE.replace('"charge"', '"bill"'), "diverged"),
    "extra at the end": (_RETURN, _LOG + _RETURN, "diverged"),
    "extra in the middle": (_PAID, _PAID + _LOG, "diverged"),
    "dropped": (_MAIL, "", "diverged"),
    "swallowed": (_MAIL, _SWALLOWED, "diverged"),
    "other input": (_MAIL, _MAIL.replace(", receipt", ', "dear " + receipt'), "drift"),
    "other result": (_RETURN, "        return receipt.upper()\n", "drift"),
    "raises": (_PAID, _PAID + '        raise RuntimeError("broken")\n', "failed"),
}
"""What is replaced by what, and the verdict on the finished run."""
HELPER = '\n    def _pay(self, context, amount):\n        return context.step("charge", charge, amount)\n'


def edit_program(name: str) -> str:
    """Return the program after an edit."""
    old, new, _ = EDITS[name]
    assert old in PROGRAM, old
    return (PROGRAM.replace(old, new, 1) if old else PROGRAM) + (HELPER if name == "refactored" else "")


def write_project(folder: Path) -> Path:
    """Write the library, the program and three journals: finished, open, failed. Return the folder of journals."""
    shutil.copy(TOY / "library.py", folder / "toylib.py")
    (folder / "order.py").write_text(PROGRAM)
    journals = folder / "journals"
    journals.mkdir()
    library, order = import_project(folder)
    with contextlib.chdir(folder):  # the steps really run, and write there
        library.record_run(order.Order, journals / "finished.journal", "finished", 5)
        library.record_run(order.Order, journals / "open.journal", "open", 7, stop_after=1)
        library.record_run(order.Order, journals / "failed.journal", "failed", 13)
    (folder / "steps-that-ran.log").unlink()
    return journals


def import_project(folder: Path) -> tuple[ModuleType, ModuleType]:
    """Import the library and the program by their files, and leave no trace: other tests have such names too."""
    before: dict[str, ModuleType] = {name: sys.modules.pop(name) for name in ("toylib", "order") if name in sys.modules}
    try:
        return _import_file(folder / "toylib.py"), _import_file(folder / "order.py")
    finally:
        for name in ("toylib", "order"):
            sys.modules.pop(name, None)
        sys.modules.update(before)


def _import_file(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copy_engine(target: Path, package: str) -> None:
    """Copy the engine as the package of this name."""
    target.mkdir(parents=True)
    for file in TOY.glob("*.py"):
        if file.name != "library.py":
            (target / file.name).write_text(file.read_text().replace("tests.toy_engine.toy", package))


def install_by_entry_points(site: Path) -> None:
    """Install the engine as a package of its own."""
    copy_engine(site / "toy_engine", "toy_engine")
    (site / "temporalio.py").write_text('raise ImportError("who uses another engine need not have it")\n')
    info = site / "toy_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[replaytool.engines]\ntoy = toy_engine.engine:ENGINE\n\n"
        "[replaytool.formats]\ntoy-journal = toy_engine.journal:FILE\ntoy-folder = toy_engine.journal:FOLDER\n"
    )


def install_by_rows(site: Path) -> None:
    """Install a copy of replaytool with one folder and one row more in each of two tables."""
    ignore = shutil.ignore_patterns("__pycache__", "formats", "tui", "loyalty")
    shutil.copytree(ROOT / "replaytool", site / "replaytool", ignore=ignore)
    for name in ("formats", "tui"):
        shutil.copytree(ROOT / name, site / "replaytool" / name, ignore=shutil.ignore_patterns("__pycache__"))
    copy_engine(site / "replaytool" / "engines" / "toy", "replaytool.engines.toy")
    add_row(
        site / "replaytool" / "engines" / "__init__.py", "ENGINES: dict[str, str] = {",
        '    "toy": "replaytool.engines.toy.engine:ENGINE",',
    )  # fmt: skip
    add_row(
        site / "replaytool" / "formats" / "__init__.py", "FORMATS: tuple[str, ...] = (",
        '    "replaytool.engines.toy.journal:FILE", "replaytool.engines.toy.journal:FOLDER",',
    )  # fmt: skip


def add_row(file: Path, table: str, row: str) -> None:
    """Add a row as the first of a table."""
    text = file.read_text()
    assert text.count(f"\n{table}\n") == 1, table
    file.write_text(text.replace(f"\n{table}\n", f"\n{table}\n{row}\n"))
