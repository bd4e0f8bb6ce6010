"""Python values as bytes of items, and functions as a job's fixed argument."""
