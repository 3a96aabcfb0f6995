"""Tests of the house rules: names, imports, sizes. They read the source as text and import nothing of the product."""
