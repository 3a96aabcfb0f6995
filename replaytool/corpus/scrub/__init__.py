"""Replace personal data in a history by pseudonyms, while its verdict and commands stay the same.

Add a kind of rule as one row of `rules.KINDS`.
"""
