"""The Gradio app: screens over labkit. It holds no rule of any game and no model code."""
