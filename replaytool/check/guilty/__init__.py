"""Find the edits of a change that break runs, by replaying subsets of the change.

A set of edits is guilty if it breaks a run on the base without any other edit. The search removes edits from the
change until the runs pass, and then looks for the fewest edits that break them. Nothing here knows an engine.
"""
