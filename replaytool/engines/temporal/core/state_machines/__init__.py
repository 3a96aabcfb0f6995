"""One file for each of sdk-core's state machines: timer, activity, child workflow, and so on.

To add one, write a class with a `TABLE` as in `timer.py`, and give its command a row in `core/command_queue.py`. A
machine knows its own command and its events; it reaches the rest of the replay only through `MachineHost`.
"""
