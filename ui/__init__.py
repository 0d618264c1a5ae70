"""The two faces of the same services: the page (Gradio) and the command line."""
