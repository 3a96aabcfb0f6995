"""One child process per code version: it replays a run once and answers questions about it."""
