"""What-if simulation: continue one run from a point with other code or changed events, past the history's end.

The engine simulates; this folder prepares the question and hands it to the workers.
"""
