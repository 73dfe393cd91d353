"""The demo: a fictional expressway corporation's regulations and a small base model that can learn them."""
