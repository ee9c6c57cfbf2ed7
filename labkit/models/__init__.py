"""Language models: the tiny foundation model, the loader for any checkpoint, and sampling."""
