"""The Rule lab tab."""
