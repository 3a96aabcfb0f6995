"""Values to lines of text: pure functions without widgets, one module per kind of value."""
