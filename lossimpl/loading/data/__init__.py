"""What a loader delivers, as digests, and whether it is what num_workers=0 delivers."""
