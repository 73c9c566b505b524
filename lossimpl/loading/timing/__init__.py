"""How fast a loader delivers: the drive loop, what it records, and what the readings mean."""
