"""Documents to samples: ask a model, check every answer, keep where each came from."""
