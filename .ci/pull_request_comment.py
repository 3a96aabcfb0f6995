"""Write a report as the one comment of this check on a pull request, or update that comment.

The token comes from the step that runs this file; the step that replays the pull request's code never sees it.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 65_000
"""GitHub takes 65,536."""
PER_PAGE = 100


def main(report: Path) -> None:
    """Post or update the comment. A token that may not write is no failure: the job's summary has the report."""
    place = os.environ.get("GITHUB_EVENT_PATH")
    event = json.loads(Path(place).read_text(encoding="utf-8")) if place else {}
    number = event.get("pull_request", {}).get("number")
    if number is None:
        print("::notice::replaytool: no comment, because this is no pull request")
        return
    marker = f"<!-- replaytool check {os.environ.get('COMMENT_KEY', '.')} -->"
    body = f"{marker}\n{report.read_text(encoding='utf-8')}"[:MOST_CHARACTERS]
    comments = f"repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    try:
        known = find_own_comment(f"{comments}/{int(number)}/comments", marker)
        if known is None:
            call_api("POST", f"{comments}/{int(number)}/comments", {"body": body})
        else:
            call_api("PATCH", f"{comments}/comments/{known}", {"body": body})
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise
        print(f"::notice::replaytool: no comment, because the token may not write it (HTTP {error.code})")


def find_own_comment(path: str, marker: str) -> int | None:
    """Return the ID of the comment that an earlier check wrote. A person's comment is never taken for it."""
    page = 1
    while found := call_api("GET", f"{path}?per_page={PER_PAGE}&page={page}"):
        for one in found:
            if one["user"]["type"] == "Bot" and one["body"].startswith(marker):
                return int(one["id"])
        page += 1
    return None


def call_api(method: str, path: str, content: dict[str, str] | None = None) -> Any:
    """Call GitHub, and return what it answers."""
    request = urllib.request.Request(
        f"{os.environ.get('GITHUB_API_URL', 'https://api.github.com')}/{path}",
        data=json.dumps(content).encode() if content is not None else None,
        method=method,
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['COMMENT_TOKEN']}",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
