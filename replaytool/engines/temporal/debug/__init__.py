"""States of a replayed Temporal run: at each task, in Python's debugger, and which line changed a value.

This folder never knows how a state is shown or stored.
"""
