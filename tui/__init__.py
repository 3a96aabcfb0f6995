"""The terminal screens: runs, debugger, causes, builds, resets, comparison, SQL.

They reach data only through the session, and ask it on a thread, so that drawing never waits. To add a screen: write a
class in its own file under screens/, add a row to `app.SCREENS_BY_KEY` if a key opens it, and add its keys to
`keys.KEYS`. The bindings, the help and docs/tui.md are made from that table.
"""
