"""sdk-core's replay rules written again in Python: history batches, activations, state machines, the command queue.

To add a state machine, add a file to `state_machines/` and a row in `command_queue.py`. Nothing here may know how
code is found, run or judged, or touch the SDK's Python worker.
"""
