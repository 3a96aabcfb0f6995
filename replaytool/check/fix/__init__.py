"""Write guards for guilty edits, so that recorded runs keep the old path, and prove each by replaying.

A guard is written by position into the changed file: nothing else of it is touched. It is offered only when a replay of
every run and a fresh run have shown that it holds.
"""
