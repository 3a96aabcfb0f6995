"""Decide which runs a code change can affect, so that `check --impacted` replays only those.

The decision reads source text and recorded line coverage; it never runs the new code.
"""
