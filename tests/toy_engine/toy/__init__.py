"""A small complete engine: a journal format, steps, code discovery, replay, states and forks."""
