"""The first look at a dataset: its facts, the cost of each stage, and what is likely to fail."""
