"""Training a network on a labeled dataset, and measuring it."""
