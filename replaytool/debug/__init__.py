"""Inspect a run at each event: recorded facts, replayed state with the code of each build, comparison of runs.

User code never runs here: `process` replays it in child processes.
"""
