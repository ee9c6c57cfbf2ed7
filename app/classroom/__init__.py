"""A class at the app: the teacher asks on one screen, everybody answers on a phone."""
