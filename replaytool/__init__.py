"""Load, query, replay and reset the recorded histories of durable workflows."""

__version__ = "0.1.0"
