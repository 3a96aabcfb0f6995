"""Say which patches are still needed: replay the open runs with the calls of a patch changed or taken out.

A call is changed in the text that worker processes import. No file is written. Nothing here knows an engine.
"""
