"""The model behind the window: requests, answers and the threads between them."""
