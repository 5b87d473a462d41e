"""Image labeling with the 2D-LSTM: networks, kernels, training and learning, without a window."""

__version__ = "0.1.0"
