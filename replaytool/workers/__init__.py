"""Run jobs on many runs in child processes: what one run breaks, it breaks in its own process.

A job is a module-level `WorkerJob` (see `replay.jobs`). This folder must not know what a job does.
"""
