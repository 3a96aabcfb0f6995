"""A server for coding agents (Model Context Protocol): each tool asks the command line and shortens its JSON.

To add a tool, add a row to TOOLS in tools.py. A tool must never write a file, contact a server of an engine, or reset
and signal a workflow; one that runs workflow code says so in its row.
"""
