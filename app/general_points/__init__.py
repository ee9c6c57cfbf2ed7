"""The GeneralPoints tab."""
