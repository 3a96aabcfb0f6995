"""Connect to a Temporal server and pull histories from it.

This folder never knows the store, user code, or replays.
"""
