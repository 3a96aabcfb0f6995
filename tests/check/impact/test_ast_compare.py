from __future__ import annotations

import ast
import copy
import random
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import pytest

from replaytool.check.impact.ast_compare import changed_functions, is_same_for_lines, parse_module

LIMIT = 3
PURE = '''
LIMIT = 3
def work(first, second):
    """Of no interest."""
    total = 0
    seen = []
    for number in range(first):
        if number % 2:
            total += number
            continue
        elif number > 4:
            total -= 1
        else:
            seen.append(number)
        if number > LIMIT:
            total *= 2
            break
    else:
        total += 100
    while second > 0:
        second -= 3
        if second == 1:
            return total, seen
        total += second
    try:
        if total > 20:
            raise ValueError(total)
        rest = 10 // (second + 2)
    except ValueError as error:
        seen.append(str(error))
        return -total, seen
    except ZeroDivisionError:
        rest = 7
    else:
        rest += 1
    finally:
        seen.append("done")
    match rest:
        case 1 | 2:
            total += 1
        case 7:
            total += 7
        case _:
            total += 9
    if not seen: return None
    with Held(seen) as held:
        if len(held) > 2:
            held.pop()
    def inner(value):
        if value > 5:
            return value
        return 5
    return inner(total), held, [one for one in seen if one != "done"], (lambda: total if rest else first)()
'''


class Held:
    def __init__(self, value: list[Any]) -> None:
        self.value = value

    def __enter__(self) -> list[Any]:
        return self.value

    def __exit__(self, *_: object) -> None:
        self.value.append("left")


def made(text: str) -> Callable[..., Any]:
    scope: dict[str, Any] = {"Held": Held}
    exec(compile(text, "made", "exec"), scope)
    found: Callable[..., Any] = scope["work"]
    return found


def ran(function: Callable[..., Any], *given: int) -> tuple[object, set[int]]:
    """What comes of it, or what it raises; and the lines that it came by."""
    lines: set[int] = set()
    steps = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal steps
        if frame.f_code.co_filename != "made":
            return None
        if event == "line":
            lines.add(frame.f_lineno)
            steps += 1
            if steps > 2_000:
                raise TimeoutError
        return trace

    sys.settrace(trace)
    try:
        return repr(function(*given)), lines
    except Exception as error:
        return f"{type(error).__name__}: {error}", lines
    finally:
        sys.settrace(None)


def edited(source: str, chance: random.Random) -> str | None:
    """The same code with one thing done to it somewhere."""
    tree = ast.parse(source)
    (function,) = (one for one in tree.body if isinstance(one, ast.FunctionDef))
    blocks = [
        block for node in ast.walk(function) for name in ("body", "orelse", "finalbody")
        if isinstance(block := getattr(node, name, None), list)
    ]  # fmt: skip
    deed = chance.randrange(6)
    if deed == 0:
        constants = [one for one in ast.walk(function) if isinstance(one, ast.Constant) and isinstance(one.value, int)]
        chance.choice(constants).value = chance.randrange(9)
    elif deed == 1:
        block = chance.choice([one for one in blocks if len(one) > 1])
        del block[chance.randrange(len(block))]
    elif deed == 2:
        new = chance.choice(
            ["total = 5", "seen.append(1)", "return 17", "LIMIT = 1", "second = 9", "pass", "raise KeyError(3)",
             "import os", "seen = [8]", "first += 1", "yield 3", "nonsense()", "global total", "del seen"]
        )  # fmt: skip
        block = chance.choice(blocks)
        block.insert(chance.randrange(len(block) + 1), ast.parse(new).body[0])
    elif deed == 3:
        block = chance.choice([one for one in blocks if len(one) > 1])
        at = chance.randrange(len(block) - 1)
        block[at], block[at + 1] = block[at + 1], block[at]
    elif deed == 4:
        compares = [one for one in ast.walk(function) if isinstance(one, ast.Compare)]
        chance.choice(compares).ops = [chance.choice([ast.Lt(), ast.GtE(), ast.Eq(), ast.NotEq()])]
    else:
        tries = [one for one in ast.walk(function) if isinstance(one, ast.Try)]
        handlers = chance.choice(tries).handlers
        handlers.insert(0, copy.deepcopy(handlers[-1])) if chance.random() < 0.5 else handlers.reverse()
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        compile(text, "made", "exec")
    except (SyntaxError, ValueError):
        return None
    return text


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_to_be_the_same_does_the_same(seed: int) -> None:
    edit_and_compare(seed, 12, 4)


@pytest.mark.drill
@pytest.mark.parametrize("seed", range(100, 125))
def test_what_is_said_to_be_the_same_does_the_same_at_length(seed: int) -> None:
    edit_and_compare(seed, 40, 8)


def edit_and_compare(seed: int, edits: int, inputs: int) -> None:
    """Each edit of a function with every kind of block, on many inputs: it may differ only where that is said."""
    chance = random.Random(seed)
    source = ast.unparse(ast.parse(PURE)) if seed % 2 else PURE
    before = parse_module(source.encode(), "made")
    same = different = 0
    runs = [(given, *ran(made(source), *given)) for given in [(a, b) for a in range(inputs) for b in range(inputs)]]
    for _ in range(edits):
        text = edited(source, chance)
        if text is None:
            continue
        after = parse_module(text.encode(), "made")
        if before.outside != after.outside:
            continue
        pairs = list(changed_functions(before, after))
        changed = made(text)
        for given, result, lines in runs:
            is_left_out = all(is_same_for_lines(before, after, one, other, lines) for one, other in pairs)
            if is_left_out:
                assert ran(changed, *given)[0] == result, (given, text)
            same += is_left_out
            different += not is_left_out
    assert different
    assert same, "and much is said to be the same"


def outside(text: str) -> str:
    return parse_module(text.encode(), "a").outside


def compared(before: str, after: str, line: str = "") -> bool:
    """Whether a run that came by all lines but those from the one marked with `never` on goes the same way."""
    one, other = parse_module(before.encode(), "a"), parse_module(after.encode(), "a")
    assert one.outside == other.outside
    never = {at for at, text in enumerate(before.splitlines(), 1) if "# never" in text}
    lines = {at for at in range(1, len(before.splitlines()) + 1) if at not in never}
    return all(is_same_for_lines(one, other, *pair, lines) for pair in changed_functions(one, other))


BRANCH = "def work(a):\n    if a:\n        return LIMIT # never\n    return LIMIT\n"


def test_a_branch_that_was_not_taken_may_change() -> None:
    assert compared(BRANCH, BRANCH.replace("LIMIT # never", "7"))
    assert compared(BRANCH, BRANCH.replace("        return LIMIT # never", "        a = 5\n        return 4"))
    assert not compared(BRANCH, BRANCH.replace("    return LIMIT\n", "    return 1\n"))
    assert not compared(BRANCH, BRANCH.replace("if a", "if not a"))


def test_a_name_that_becomes_local_differs_everywhere() -> None:
    assert not compared(BRANCH, BRANCH.replace("        return LIMIT # never", "        LIMIT = 5"))
    assert not compared(BRANCH, BRANCH.replace("        return LIMIT # never", "        yield 5"))


def test_a_new_else_and_a_new_end_differ() -> None:
    plain = "def work(a):\n    if a:\n        a = 1\n"
    assert not compared(plain, plain + "    else:\n        a = 2\n")
    assert not compared(plain, plain + "    a = 2\n")
    assert compared(plain, plain + "    # a remark\n")


def test_functions_that_are_wrapped_are_part_of_what_is_imported() -> None:
    cached = "from functools import cache\n@cache\ndef work(a):\n    return a\n"
    assert (
        parse_module(cached.encode(), "a").outside
        != parse_module(cached.replace("return a", "return 1").encode(), "a").outside
    )
    run = "@workflow.run\nasync def work(a):\n    return a\n"
    assert (
        parse_module(run.encode(), "a").outside
        == parse_module(run.replace("return a", "return 1").encode(), "a").outside
    )


@pytest.mark.parametrize(
    "edit",
    ["LIMIT = 4", "import os", "class A: pass", "def other(): pass", "@work\ndef last(): pass"],
)
def test_what_runs_when_it_is_imported_is_outside_of_functions(edit: str) -> None:
    text = "LIMIT = 3\n" + BRANCH
    assert outside(text) != outside(text + edit + "\n")


def test_the_docstring_belongs_to_the_function_itself() -> None:
    text = 'def work(a):\n    """One."""\n    return a\n'
    assert outside(text) != outside(text.replace("One", "Two"))


def test_code_objects_are_told_apart_by_their_place() -> None:
    text = "class A:\n    def work(self):\n        return 1\nclass B:\n    def work(self):\n        return 2\n"
    one, other = parse_module(text.encode(), "a"), parse_module(text.replace("return 2", "return 3").encode(), "a")
    ((before, after),) = changed_functions(one, other)
    assert is_same_for_lines(one, other, before, after, {3})
    assert not is_same_for_lines(one, other, before, after, {6})
    assert isinstance(one.code, CodeType)
