"""Verdicts on one run: two replayers (direct and the SDK's), the strategies that combine them, and the comparison.

A new kind of command is a row in `command_kinds.KINDS`. A new strategy is a function in `strategies` and a row in
`engines.ENGINES`. Nothing here knows the store, a server, resets, or how a verdict is shown.
"""
