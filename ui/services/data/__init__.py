"""Services for examples: imported, checked, edited, written, previewed."""
