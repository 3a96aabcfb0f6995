"""Histories that are kept beside the code: which are worth it, what they cover, and what must not be in them."""
