"""The HTTP and WebSocket API, and the page."""
