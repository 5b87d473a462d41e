"""The canvas: the image with its layers, zoom and pan."""
