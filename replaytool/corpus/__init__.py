"""Select histories to keep beside the code: which are worth it, what they cover, and what must be scrubbed."""
