"""The screens, one file each, all subclasses of `base.BaseScreen`.

To add one: a class with `GROUP` and `compose_body`, its keys in `keys.KEYS`, and a row in `app.SCREENS_BY_KEY` if a key
opens it. A screen never reads the store: it asks `SessionWorker` through `ask_session`.
"""
