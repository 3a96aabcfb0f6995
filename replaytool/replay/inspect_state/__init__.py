"""Look at live workflow objects without changing them: snapshots, expressions, safe copies, plain JSON."""
