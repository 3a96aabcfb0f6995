"""What every engine needs for a replay: load code, keep side effects out, compare commands, inspect state.

Nothing here may know the events or the SDK of an engine.
"""
