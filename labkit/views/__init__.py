"""An episode as HTML and as notebook widgets: shared by the app, the notebooks and static pages."""
