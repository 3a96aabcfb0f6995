"""What a verdict says, for reading: recorded against produced, where the code asked for it, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replaytool.model.verdict import CallSite, Command, Divergence, Drift, ExpectedEvent, Failure, Verdict
from replaytool.tui.styled_lines import Line, cell, file_name, line, tree

SIGNS = {"ok": "✔", "drift": "~", "diverged": "✗", "failed": "✗", "unverified": "?", "crashed": "✗"}
ROLES = {"ok": "good", "drift": "warn", "unverified": "warn"}
_MOST = 50
_AROUND = 3
_NOT_RECORDED = object()


def signed(word: str) -> str:
    """The verdict with its sign, which does without colour."""
    return f"{SIGNS.get(word, '·')} {word}"


def role(word: str) -> str:
    """How it looks."""
    return ROLES.get(word, "bad")


def place(site: CallSite) -> str:
    """A line of code, short."""
    return f"{file_name(site.file)}:{site.line}"


def event_of(found: Verdict) -> int | None:
    """The event to look at first."""
    at = found.divergence or found.failure or next(iter(found.drift), None)
    return at.event_id if at is not None else None


def brief(found: Verdict) -> Line:
    """One line: what is wrong, at which event, at which line of code."""
    site = f"  {place(found.call_site)}" if found.call_site else ""
    said = _brief_of(found.divergence) if found.divergence else cell(found.reason, 300)
    at = event_of(found)
    where = f" at event {at}" if at is not None else ""
    said = said.removeprefix(f"event {at}").strip()
    return line((f"{signed(found.verdict)}{where}: ", role(found.verdict)), said, (site, "dim"))


def _brief_of(found: Divergence) -> str:
    recorded = _named(found.expected) if found.expected else "nothing"
    produced = _named(found.actual) if found.actual else "nothing"
    return f"recorded {recorded}, the code asks for {produced}"


def whole(found: Verdict, source: Sequence[str] = ()) -> list[Line]:
    """All of it; `source` has the lines of the file of the call site, where it can be read."""
    rows = [line((signed(found.verdict), role(found.verdict)), f"  {cell(found.reason, 500)}")]
    if found.stuck:
        rows.append(line(("stuck  ", "key"), found.stuck))
    if found.divergence is not None:
        rows += _divergence(found.divergence)
    if found.failure is not None:
        rows += _failure(found.failure)
    if found.call_site is not None:
        rows += _site(found.call_site, source)
    if found.divergence is not None:
        rows += _fields(found.divergence)
    if found.failure is not None and found.failure.traceback:
        rows += [line(), line(("Traceback", "strong")), *tree(found.failure.traceback)]
    rows += _drifts(found.drift)
    rows += [line((f"{cell(one.what)} ", "warn"), cell(one.detail, 200), _at(one.call_site)) for one in found.hazards]
    rows += [line(("note  ", "key"), cell(note, 500)) for note in found.notes]
    rows.append(_judge(found))
    return rows


def _judge(found: Verdict) -> Line:
    confirmed = f", confirmed by {found.confirmed_by}" if found.confirmed_by else ""
    return line((f"by the {found.engine} engine{confirmed}, {found.seconds:.2f} s", "dim"))


def _divergence(found: Divergence) -> Iterator[Line]:
    last = found.last_matched_event_id
    yield line(("event     ", "key"), str(found.event_id), (f"  the last that matched: {last or 'none'}", "dim"))
    yield line(("recorded  ", "key"), (f"- {_named(found.expected) if found.expected else 'nothing'}", "bad"))
    yield line(("produced  ", "key"), (f"+ {_named(found.actual) if found.actual else 'nothing'}", "good"))
    if found.advice:
        yield line(("advice    ", "key"), cell(found.advice, 600))


def _fields(found: Divergence) -> Iterator[Line]:
    """What the two do not share."""
    recorded: Mapping[str, Any] = found.expected.fields if found.expected else {}
    produced: Mapping[str, Any] = found.actual.fields if found.actual else {}
    if recorded != produced:
        yield line(("Fields that differ", "strong"), ("  - recorded, + produced", "dim"))
    for name in sorted(recorded.keys() | produced.keys())[:_MOST]:
        before, after = recorded.get(name, _NOT_RECORDED), produced.get(name, _NOT_RECORDED)
        if before == after:
            continue
        yield line((f"  {cell(name, 60)}", "key"))
        if before is not _NOT_RECORDED:
            yield line(("    - ", "bad"), cell(before, 300) or "null")
        if after is not _NOT_RECORDED:
            yield line(("    + ", "good"), cell(after, 300) or "null")


def _failure(found: Failure) -> Iterator[Line]:
    yield line(("event     ", "key"), str(found.event_id))
    yield line(("raised    ", "key"), (f"{cell(found.type, 80)}: {cell(found.message, 500)}", "bad"))


def _site(site: CallSite, source: Sequence[str]) -> Iterator[Line]:
    yield line(("code      ", "key"), (place(site), "strong"), f"  {cell(site.function, 80)}")
    yield from excerpt(source, site.line)
    for one in site.chain:
        yield line(("called by ", "key"), place(one), f"  {cell(one.function, 80)}")


def excerpt(source: Sequence[str], number: int) -> Iterator[Line]:
    """The line and its neighbours."""
    first = max(number - _AROUND, 1)
    for place_, text in enumerate(source[first - 1 : number + _AROUND - 1], first):
        here = place_ == number
        yield line((f"  {'▶' if here else ' '}{place_:>5} ", "mark" if here else "dim"), (_code(text), _strong(here)))


def _strong(here: bool) -> str:
    return "strong" if here else ""


def _code(text: str) -> str:
    return cell(text.expandtabs(4), 200)


def _drifts(found: Sequence[Drift]) -> Iterator[Line]:
    if found:
        yield line((f"Differences inside matching commands: {len(found):,}", "strong"))
    for one in found[:_MOST]:
        yield line((f"event {one.event_id} ", "dim"), (cell(one.path, 120), "key"), _at(one.call_site))
        yield line(("    - ", "bad"), cell(one.recorded, 300) or "null")
        yield line(("    + ", "good"), cell(one.produced, 300) or "null")
    if len(found) > _MOST:
        yield line((f"… {len(found) - _MOST:,} more", "dim"))


def _at(site: CallSite | None) -> tuple[str, str]:
    return (f"  {place(site)}" if site else "", "dim")


def _named(found: ExpectedEvent | Command) -> str:
    """Timers and the like are numbered in turn; how long they are says more."""
    lasts = found.fields.get("startToFireTimeout")
    name = cell(lasts, 40) if found.kind == "timer" and lasts else cell(found.name, 80)
    return f"{found.kind.replace('_', ' ')} {name}".strip()
