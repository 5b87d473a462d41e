"""The gate explorer: what the 2D-LSTM computes over the image shown, and why."""
