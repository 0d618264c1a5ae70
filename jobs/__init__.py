"""The background job runner: each job is a detached process and a folder. No gradio, no torch."""
