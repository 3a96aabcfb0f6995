"""Options and output that several commands share. Nothing here may know a single command."""
