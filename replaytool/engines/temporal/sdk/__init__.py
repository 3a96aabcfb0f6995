"""Everything that reaches into temporalio's insides: instances, sandboxes, the recorder, and workarounds by release.

Nothing here knows how commands are matched or what a verdict is.
"""
