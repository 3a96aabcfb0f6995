"""Reset to before a bad build: find the points, plan, apply with a ledger, verify.

The way through it: `records` reads what a history says that matters here, `lines` finds the live line of runs of a
workflow, `points` says where it could go back to, `effects` what that undoes and repeats, `traps` what a person
should know first; `planner` puts these together without contacting anybody. `online` asks a server what it adds;
`apply` executes a plan and `verify` compares it with what came of it.
"""
