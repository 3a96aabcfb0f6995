"""Widgets that every screen uses: `line_list` (lines, with or without a cursor) and `table`.

They draw only the visible lines, and know nothing of runs, sessions or screens.
"""
