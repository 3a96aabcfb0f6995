"""Keep workflow code away from the world: side effects, clock and random numbers, time limits, shared module state.

Add a refused operation as one row of `side_effects._DANGEROUS`.
"""
