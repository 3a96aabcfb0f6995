"""Frozen values that all other folders share: histories, verdicts, reports, plans, replayed states; JSON both ways.

To add a value, write a frozen dataclass (or a msgspec struct where a run has thousands of it) in the file of its
subject. Nothing here does I/O, knows an engine's event names, or imports another folder than `text` and `errors`.
"""
