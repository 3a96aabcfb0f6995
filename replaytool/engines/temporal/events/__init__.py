"""What the recorded events of a Temporal run say: types, decoded structs, payloads, labels, pending work, build IDs.

To read one more kind of event, add it to `event_types` and `decoding.RECORDS`. This folder never knows the SDK's
worker, user code, or the replay.
"""
