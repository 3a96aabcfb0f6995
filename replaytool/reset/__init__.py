"""Reset runs to before a bad build: select, plan, apply with a ledger, verify.

`planner` builds a plan from loaded histories alone, `server_checks` adds what a server knows, `apply` executes a plan
and `verify` compares it with the result. The rules, hazards and server calls of an engine live in its own `reset/`
folder: a new rule or hazard goes there. Nothing here writes SQL or prints.
"""
