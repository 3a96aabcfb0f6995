"""The programs in fixtures/integrations, and edits of them with the verdict that each one deserves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.paths import FIXTURES

INTEGRATIONS = FIXTURES.parent / "integrations"


@dataclass(frozen=True)
class Edit:
    """One change of one file, and what a check has to say of it."""

    old: str
    new: str
    verdict: str
    file: str = "workflow"


@dataclass(frozen=True)
class Program:
    """A recorded program: what it shows of its framework, and the edits that only it can have."""

    shows: str
    edits: Mapping[str, Edit]


@dataclass(frozen=True)
class Framework:
    """A framework with the package of its plugin and the module that a test needs."""

    title: str
    package: str
    module: str
    programs: Mapping[str, Program]


SENDS = "return await workflow.execute_activity(send_answer"
NOTE = 'await workflow.execute_activity("note", "", start_to_close_timeout=SHORT)\n        '
ORDERS = "questions about orders"
TOOL = "activity_as_tool(find_order, start_to_close_timeout=SHORT)"
BOOK = "activity_as_tool(book_trip, start_to_close_timeout=SHORT)"
ALWAYS: Mapping[str, Edit] = {
    "same": Edit("", "", "ok"),
    "refactored": Edit(SENDS, "sent = await workflow.execute_activity(send_answer", "ok"),
    "a step more": Edit(SENDS, NOTE + SENDS, "diverged"),
    "a step less": Edit(SENDS, 'return "x"\n        ' + SENDS, "diverged"),
    "another step's name": Edit("execute_activity(send_answer", 'execute_activity("send_reply"', "diverged"),
    "another time-out": Edit("SHORT = timedelta(seconds=10)", "SHORT = timedelta(seconds=11)", "drift"),
    "another result": Edit(SENDS, "return 're: ' + await workflow.execute_activity(send_answer", "drift"),
}
FRAMEWORKS: Mapping[str, Framework] = {
    "openai_agents": Framework(
        "OpenAI Agents SDK",
        "temporalio-openai-agents",
        "temporalio.openai_agents",
        {
            "openai_agents": Program(
                "activity as tool, hand-off",
                {
                    "another instruction": Edit(ORDERS, "all questions", "drift"),
                    "another model": Edit(
                        'model="fake",\n            tools', 'model="other",\n            tools', "drift"
                    ),
                    "no tool": Edit(f"tools=[{TOOL}],", "", "failed"),
                },
            ),
            "openai_agents_team": Program(
                "activity as tool, hand-off, nested agent",
                {
                    "another agent's name": Edit('name="booker"', 'name="seller"', "failed"),
                    "a nested agent's label": Edit(
                        'name="translator"', 'name="interpreter"', "ok"
                    ),  # only in summaries
                    "another instruction": Edit("translate to French", "translate to German", "drift"),
                    "another model": Edit('model="large"', 'model="huge"', "drift"),
                    "another tool": Edit('"translate", "Tr', '"interpret", "Tr', "failed"),
                    "another description": Edit("Translate a text", "Put into French", "drift"),
                    "no hand-off": Edit("handoffs=[booker]", "handoffs=[]", "failed"),
                    "another result type": Edit('model="large",', 'model="large", output_type=list[str],', "failed"),
                },
            ),
        },
    ),
    "pydantic_ai": Framework(
        "Pydantic AI",
        "pydantic-ai-slim",
        "pydantic_ai.durable_exec.temporal",
        {
            "pydantic_ai": Program(
                "tool",
                {
                    "another instruction": Edit(ORDERS, "all questions", "drift"),
                    "another agent's name": Edit('name="desk"', 'name="counter"', "diverged"),
                    "no tool": Edit("@agent.tool_plain\n", "", "diverged"),
                },
            ),
            "pydantic_ai_typed": Program(
                "two tools, structured output",
                {
                    "another instruction": Edit("You quote", "You sell", "drift"),
                    "another agent's name": Edit('name="quotes"', 'name="offers"', "diverged"),
                    "another tool": Edit("async def find_price", "async def find_fare", "diverged"),
                    "another result type": Edit("price: int", "price: int\n    days: int = 1", "drift"),
                    "a result that no longer fits": Edit("price: int", "price: list[int]", "diverged"),
                    "another question": Edit("agent.run(wish)", 'agent.run(wish + "!")', "drift"),
                },
            ),
        },
    ),
    "langgraph": Framework(
        "LangGraph",
        "temporalio-langgraph",
        "temporalio.langgraph",
        {
            "langgraph": Program(
                "graph",
                {
                    "another question": Edit('"question": question', '"question": question + "?"', "drift"),
                    "another node's name": Edit('"write"', '"compose"', "diverged", "nodes"),
                    "a node less": Edit(
                        'made.add_edge("look_up", "write")', 'made.add_edge("look_up", END)', "diverged", "nodes"
                    ),
                    "a node's time-out": Edit("seconds=10", "seconds=11", "drift", "nodes"),
                },
            ),
            "langgraph_functional": Program(
                "functional API",
                {
                    "another question": Edit("ainvoke(question)", 'ainvoke(question + "?")', "drift"),
                    "another task's name": Edit("write", "compose", "diverged", "nodes"),
                    "a task less": Edit("return await write(found)", "return found", "diverged", "nodes"),
                    "a task's input": Edit("write(found)", 'write(found + "!")', "drift", "nodes"),
                    "a task's time-out": Edit("seconds=10", "seconds=11", "drift", "nodes"),
                },
            ),
        },
    ),
    "google_adk": Framework(
        "Google ADK",
        "temporalio-google-adk",
        "temporalio.google_adk",
        {
            "google_adk": Program(
                "activity as tool",
                {
                    "another instruction": Edit(ORDERS, "all questions", "drift"),
                    "another model": Edit('"scripted"', '"other"', "drift"),
                    "no tool": Edit(f"tools=[{TOOL}],", "", "diverged"),
                },
            ),
            "google_adk_team": Program(
                "activity as tool, hand-off, nested agent",
                {
                    "another agent's name": Edit('name="booker"', 'name="seller"', "failed"),
                    "another instruction": Edit("translate to French", "translate to German", "drift"),
                    "another model": Edit('make_model("scripted"))\n', 'make_model("other"))\n', "drift"),
                    "another tool": Edit('name="translator"', 'name="interpreter"', "diverged"),
                    "no tool": Edit(f"{BOOK}, ", "", "diverged"),
                    "no hand-off": Edit("sub_agents=[booker]", "sub_agents=[]", "diverged"),
                    "another question": Edit("Part(text=wish)", 'Part(text=wish + "!")', "drift"),
                },
            ),
        },
    ),
    "google_genai": Framework(
        "Google Gen AI SDK",
        "temporalio-google-genai",
        "temporalio.google_genai",
        {
            "google_genai": Program(
                "activity as tool, MCP server",
                {
                    "another instruction": Edit(ORDERS, "all questions", "drift"),
                    "another model": Edit("gemini-fake", "gemini-other", "drift"),
                    "no MCP server": Edit('TemporalMcpClientSession("weather"),', "", "diverged"),
                },
            ),
        },
    ),
    "strands_agents": Framework(
        "Strands Agents",
        "temporalio-strands-agents",
        "temporalio.strands_agents",
        {
            "strands_agents": Program(
                "activity as tool, streamed answer",
                {
                    "another instruction": Edit(ORDERS, "all questions", "drift"),
                    "another topic": Edit('"answers"', '"replies"', "drift"),
                    "no streaming": Edit('streaming_topic="answers",', "", "diverged"),
                    "no tool": Edit(f"tools=[{TOOL}],", "", "diverged"),
                },
            ),
        },
    ),
}


def list_edits(program: Program) -> Mapping[str, Edit]:
    """Return all edits of a program, each under its title."""
    return {**ALWAYS, **program.edits}


def list_engines(title: str) -> tuple[str, ...]:
    """Return the engines that judge this edit beside the SDK's Replayer; a few edits are enough for both."""
    return ("direct", "sdk") if title in ("same", "a step more", "another time-out") else ("direct",)


def describe_frameworks() -> Iterator[str]:
    """Yield the lines of the table in docs/guide.md."""
    yield "| framework | plugin from | recorded programs | edits |"
    yield "|---|---|---|---|"
    for one in FRAMEWORKS.values():
        shows = "; ".join(program.shows for program in one.programs.values())
        edits = sum(len(list_edits(program)) for program in one.programs.values())
        yield f"| {one.title} | `{one.package}` | {shows} | {edits} |"
