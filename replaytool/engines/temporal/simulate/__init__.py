"""Run a workflow past the end of its history: recorded results answer its commands, and nothing is made up.

This folder never knows who asked for a simulation or how it is shown.
"""
