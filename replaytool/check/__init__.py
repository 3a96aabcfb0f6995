"""Check runs against code: replay them, group failures by cause, and compare with a base branch or a baseline.

What a verdict means comes from `engines`. This folder prints nothing: `render` and `cli` do.
"""
