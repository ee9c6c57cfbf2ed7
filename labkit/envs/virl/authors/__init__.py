"""Files in the layout of the paper's authors: read and written."""
