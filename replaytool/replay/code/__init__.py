"""Find, import and fingerprint the user's code, for each build: named directly or checked out of git."""
