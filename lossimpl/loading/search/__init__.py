"""The search for the best settings within a budget, and what is measured beside it."""
