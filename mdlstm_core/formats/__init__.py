"""Exchange formats of labeled images, one file a format, all behind `ExchangeFormat`."""
