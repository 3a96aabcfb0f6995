"""Replace personal data in a history, while its verdict and commands stay the same; knows where values stand."""
