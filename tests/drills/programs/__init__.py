"""Random workflow programs: written from a list of operations, so that an edit of a program is an edit of its list."""
