"""The background job runner: one detached process a job, its folder the truth. No gradio, no torch."""
