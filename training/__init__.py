"""Fine-tuning: recipes, base models, checkpoints, and the run itself on TRL and PEFT."""
