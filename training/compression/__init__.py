"""Compression of a finished model: fewer bits, fewer weights, fewer neurons.

The formats are those of compressed-tensors, which vLLM reads without anything else installed. The methods are written
here, each a page from its paper: the library that has them all (llm-compressor 0.14) needs older transformers than
training and newer compressed-tensors than vLLM, so it fits neither environment.
"""
