"""Whether a model's answers do harm: hostile language, personal data, refusals, social bias."""
