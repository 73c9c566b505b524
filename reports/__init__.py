"""The reading side: what asv and the sweep stored in `results/` becomes frames, figures, pages and verdicts.

Run from the checkout as `python -m reports COMMAND`; it is not installed, and the measured side never imports it.
"""
