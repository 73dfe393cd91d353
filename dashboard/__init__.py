"""Streamlit pages that analysts and engineers keep open. They fetch, then draw, and compute nothing."""
