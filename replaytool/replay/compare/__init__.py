"""Compare recorded commands with those of the new code: the first mismatch, drift inside matching pairs, advice."""
