"""The domain: data, models, training, chat, export. Knows nothing of the page or the job runner."""
