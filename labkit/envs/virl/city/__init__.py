"""The generated cities: street plans, buildings, landmarks and routes."""
