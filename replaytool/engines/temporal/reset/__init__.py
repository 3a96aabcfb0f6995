"""Reset points, effects and hazards of Temporal runs, and the calls that reset them on a server.

To add a reset rule, write one function and one row in `points.RULES`; a hazard goes into `hazards.HAZARDS`. This
folder never knows plans on disk, ledgers, or the CLI.
"""
