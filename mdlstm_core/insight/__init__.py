"""Looking into a network: its gates as maps, and why a pixel got its class."""
