"""Looking into a network: its gates as maps."""
