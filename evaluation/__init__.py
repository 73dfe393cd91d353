"""Own test cases, Korean answer scoring, paired comparison of base and tuned model, and the gate."""
