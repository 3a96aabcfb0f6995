"""Dialogs over a screen: a prompt, a list, a page, a check, a simulation, applying a plan.

To add one: subclass `prompts.Dialog` (or `code.CodeDialog` if it replays with workflow code) and dismiss it with its
result.
"""
