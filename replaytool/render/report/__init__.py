"""Report formats of `check` and `merge`, one file each. A report format must never read a store or a history."""
