"""A loader watched inside the user's own training: what loading costs there, why, and what would change it."""
