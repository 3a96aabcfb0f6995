"""Read and write Temporal histories: JSON in all its shapes, and protobuf.

A spelling that the SDK does not know goes through `old_spellings`. This folder never knows the store or the replay.
"""
