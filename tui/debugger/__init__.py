"""The debugger: the recorded run on one side, its replay on the other. `screen` holds both.

A pane is one file here with its widget. No pane asks the session itself: `screen` and `replay_side` do.
"""
