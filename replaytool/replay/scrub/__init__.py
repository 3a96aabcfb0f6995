"""Replace personal data by pseudonyms: which fields, by what, and how few must stay. An engine applies it.

Add a kind of rule as one row of `rules.KINDS`.
"""
