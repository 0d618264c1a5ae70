"""Services for trained models: chat, evaluation, exports, endpoints."""
