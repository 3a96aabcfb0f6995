"""Replaying Temporal's histories: what is recorded, what the code produces, and what the SDK says about both."""
