"""The build ID of a worker that was given none."""

from __future__ import annotations

import hashlib

from replaytool.engines.temporal.sdk.private import load_default_build_id, worker_module

_DEFAULT = hashlib.md5(b"a worker without a build ID", usedforsecurity=False).hexdigest()


def name_default_build() -> str:
    """Return the build ID, which the SDK's own replayer takes too.

    The SDK makes its ID of the bytecode of all loaded modules. That takes more than a second of each worker process.
    Code sees the ID only behind the last completed task, where no command is compared.
    """
    if worker_module._default_build_id is None:
        worker_module._default_build_id = _DEFAULT
    return load_default_build_id()
