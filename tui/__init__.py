"""The screens: what is recorded, looked at in a terminal. They ask the session, never on the loop that paints.

Adding a screen: a class in its own file, a row in `app.SCREENS_BY_KEY` where a key leads to it, and its keys in
`keys.KEYS`, from which the bindings, the help and docs/tui.md are made.
"""
