"""Lines about a verdict: history against code, the call site, and the advice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from replaytool.model.verdict import CallSite, Command, Divergence, Drift, ExpectedEvent, Failure, Verdict
from replaytool.tui.styled_lines import Line, cell_text, line, short_file_name, tree_lines

SIGNS = {"ok": "✔", "drift": "~", "diverged": "✗", "failed": "✗", "unverified": "?", "crashed": "✗"}
ROLES = {"ok": "good", "drift": "warn", "unverified": "warn"}
_MOST = 50
_AROUND = 3
_NOT_RECORDED = object()


def format_verdict_word(word: str) -> str:
    """Return the verdict with its sign, which is understood without colour."""
    return f"{SIGNS.get(word, '·')} {word}"


def verdict_role(word: str) -> str:
    """Return the role of a verdict word."""
    return ROLES.get(word, "bad")


def format_call_site(site: CallSite) -> str:
    """Return file and line, short."""
    return f"{short_file_name(site.file)}:{site.line}"


def event_to_show(found: Verdict) -> int | None:
    """Return the event to look at first."""
    at = found.divergence or found.failure or next(iter(found.drift), None)
    return at.event_id if at is not None else None


def format_brief(found: Verdict) -> Line:
    """Return one line: what is wrong, at which event, at which line of code."""
    site = f"  {format_call_site(found.call_site)}" if found.call_site else ""
    said = _describe_divergence(found.divergence) if found.divergence else cell_text(found.reason, 300)
    at = event_to_show(found)
    where = f" at event {at}" if at is not None else ""
    said = said.removeprefix(f"event {at}").strip()
    return line((f"{format_verdict_word(found.verdict)}{where}: ", verdict_role(found.verdict)), said, (site, "dim"))


def _describe_divergence(found: Divergence) -> str:
    recorded = _describe_command(found.expected) if found.expected else "nothing"
    produced = _describe_command(found.actual) if found.actual else "nothing"
    return f"history: {recorded}; code: {produced}"


def format_verdict(found: Verdict, source: Sequence[str] = ()) -> list[Line]:
    """Return the whole verdict; `source` has the lines of the call site's file, if it can be read."""
    rows = [
        line((format_verdict_word(found.verdict), verdict_role(found.verdict)), f"  {cell_text(found.reason, 500)}")
    ]
    if found.stuck:
        rows.append(line(("stuck  ", "key"), found.stuck))
    if found.divergence is not None:
        rows += _divergence_lines(found.divergence)
    if found.failure is not None:
        rows += _failure_lines(found.failure)
    if found.call_site is not None:
        rows += _call_site_lines(found.call_site, source)
    if found.divergence is not None:
        rows += _field_lines(found.divergence)
    if found.failure is not None and found.failure.traceback:
        rows += [line(), line(("Traceback", "strong")), *tree_lines(found.failure.traceback)]
    rows += _drift_lines(found.drift)
    rows += [
        line((f"{cell_text(one.what)} ", "warn"), cell_text(one.detail, 200), _call_site_piece(one.call_site))
        for one in found.hazards
    ]
    rows += [line(("note  ", "key"), cell_text(note, 500)) for note in found.notes]
    rows.append(_engine_line(found))
    return rows


def _engine_line(found: Verdict) -> Line:
    confirmed = f", confirmed by {found.confirmed_by}" if found.confirmed_by else ""
    return line((f"engine {found.engine}{confirmed}, {found.seconds:.2f} s", "dim"))


def _divergence_lines(found: Divergence) -> Iterator[Line]:
    last = found.last_matched_event_id
    yield line(("event     ", "key"), str(found.event_id), (f"  last match: {last or 'none'}", "dim"))
    yield line(
        ("history   ", "key"), (f"- {_describe_command(found.expected) if found.expected else 'nothing'}", "bad")
    )
    yield line(("code      ", "key"), (f"+ {_describe_command(found.actual) if found.actual else 'nothing'}", "good"))
    if found.advice:
        yield line(("help      ", "key"), cell_text(found.advice, 600))


def _field_lines(found: Divergence) -> Iterator[Line]:
    """Yield the fields that differ."""
    recorded: Mapping[str, object] = found.expected.fields if found.expected else {}
    produced: Mapping[str, object] = found.actual.fields if found.actual else {}
    if recorded != produced:
        yield line(("Fields that differ", "strong"), ("  - history, + code", "dim"))
    for name in sorted(recorded.keys() | produced.keys())[:_MOST]:
        before, after = recorded.get(name, _NOT_RECORDED), produced.get(name, _NOT_RECORDED)
        if before == after:
            continue
        yield line((f"  {cell_text(name, 60)}", "key"))
        if before is not _NOT_RECORDED:
            yield line(("    - ", "bad"), cell_text(before, 300) or "null")
        if after is not _NOT_RECORDED:
            yield line(("    + ", "good"), cell_text(after, 300) or "null")


def _failure_lines(found: Failure) -> Iterator[Line]:
    yield line(("event     ", "key"), str(found.event_id))
    yield line(("raised    ", "key"), (f"{cell_text(found.type, 80)}: {cell_text(found.message, 500)}", "bad"))


def _call_site_lines(site: CallSite, source: Sequence[str]) -> Iterator[Line]:
    yield line(("line      ", "key"), (format_call_site(site), "strong"), f"  {cell_text(site.function, 80)}")
    yield from excerpt_lines(source, site.line)
    for one in site.chain:
        yield line(("called by ", "key"), format_call_site(one), f"  {cell_text(one.function, 80)}")


def excerpt_lines(source: Sequence[str], number: int) -> Iterator[Line]:
    """Yield the line and its neighbours."""
    first = max(number - _AROUND, 1)
    for place_, text in enumerate(source[first - 1 : number + _AROUND - 1], first):
        here = place_ == number
        yield line(
            (f"  {'▶' if here else ' '}{place_:>5} ", "mark" if here else "dim"), (_code_text(text), _strong_role(here))
        )


def _strong_role(here: bool) -> str:
    return "strong" if here else ""


def _code_text(text: str) -> str:
    return cell_text(text.expandtabs(4), 200)


def _drift_lines(found: Sequence[Drift]) -> Iterator[Line]:
    if found:
        yield line((f"Drift: {len(found):,} differences inside matching commands", "strong"))
    for one in found[:_MOST]:
        yield line(
            (f"event {one.event_id} ", "dim"), (cell_text(one.path, 120), "key"), _call_site_piece(one.call_site)
        )
        yield line(("    - ", "bad"), cell_text(one.recorded, 300) or "null")
        yield line(("    + ", "good"), cell_text(one.produced, 300) or "null")
    if len(found) > _MOST:
        yield line((f"… {len(found) - _MOST:,} more", "dim"))


def _call_site_piece(site: CallSite | None) -> tuple[str, str]:
    return (f"  {format_call_site(site)}" if site else "", "dim")


def _describe_command(found: ExpectedEvent | Command) -> str:
    """Return kind and name; a timer is named by its duration, since timer IDs are only numbers."""
    lasts = found.fields.get("startToFireTimeout")
    name = cell_text(lasts, 40) if found.kind == "timer" and lasts else cell_text(found.name, 80)
    return f"{found.kind.replace('_', ' ')} {name}".strip()
