"""What claims share: the parts of a claim, its verdict, data that comes with scikit-learn, and training loops."""
