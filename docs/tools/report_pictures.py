"""Make the pictures of the reports with Chromium: `python docs/tools/report_pictures.py`.

On Debian, `apt-get install chromium fonts-noto-color-emoji` installs what it needs. The pages are opened as files.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

from replaytool.cli.demo import prepare_demo_folder, run_command_line

TARGET = Path(__file__).parents[1] / "pictures"
PICTURES = {
    "report.png": ("report.html", 1280, 1560, "light"),
    "report-dark.png": ("report.html", 1280, 900, "dark"),
    "report-phone.png": ("report.html", 400, 1180, "dark"),
    "comment-phone.png": ("comment.html", 400, 900, "light"),
}
SCHEMES = {"dark": "0", "light": "1"}
"""Chromium's numbers for what `prefers-color-scheme` is."""
COMMENT = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>
body { margin: 12px; font: 14px/1.5 system-ui, sans-serif; color: #1f2328; overflow-wrap: break-word; }
h3, h4 { margin: 16px 0 8px; } summary { cursor: pointer; }
code { padding: 2px 5px; border-radius: 5px; background: #eff1f3; font-size: 12px; }
pre { overflow-x: auto; padding: 10px; border-radius: 6px; background: #f6f8fa; }
pre code { padding: 0; background: none; }
</style>"""
"""Markdown as code hosts show it, near enough."""


def write_reports(folder: Path) -> None:
    """Write the report of the demo's red pull request, and the comment as a page."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        check = "check histories/ --workflows code/pull_request.py"
        assert run_command_line(f"{check} --format html:report.html --format markdown:comment.md".split()) == 1
    rendered = MarkdownIt("commonmark", {"html": True}).render((folder / "comment.md").read_text(encoding="utf-8"))
    (folder / "comment.html").write_text(COMMENT + rendered, encoding="utf-8")


def take_picture(page: Path, target: Path, width: int, height: int, scheme: str) -> None:
    """Take a picture of a page with a fresh profile."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser is not None, "install Chromium"
    with tempfile.TemporaryDirectory() as profile:
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
            "--no-first-run", "--virtual-time-budget=3000", "--run-all-compositor-stages-before-draw",
            f"--user-data-dir={profile}", f"--window-size={width},{height}",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", f"--screenshot={target}", page.as_uri(),
        ]  # fmt: skip
        subprocess.run([browser, *arguments], check=True, capture_output=True, timeout=120)


def main() -> None:
    """Make all pictures, in a folder where nothing of this machine is to be seen."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_demo_folder(Path(folder))
        write_reports(Path(folder))
        for name, (page, width, height, scheme) in PICTURES.items():
            take_picture(Path(folder, page), TARGET / name, width, height, scheme)


if __name__ == "__main__":
    main()
