"""Seaborn figures, one kind per file: frames in, matplotlib figures out."""
