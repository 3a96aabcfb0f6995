"""`check --with`: the same histories and code under other releases of the SDK or of a library.

Each release is installed into a folder of its own, which stands in front of what is installed: nothing of the project's
environment is changed. This is the one part of replaytool that may ask a package index.
"""
