"""Dialogs over a screen: a prompt, a list, a page, a check, a simulation, applying a plan.

To add one: subclass `prompts.Dialog` and dismiss it with its result; hand `code.CodeDialog` your work if it needs
workflow code.
"""
