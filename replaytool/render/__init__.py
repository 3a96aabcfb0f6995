"""How results are written: for people, for programs, for CI."""
