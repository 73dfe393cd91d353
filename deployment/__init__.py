"""Model servers: processes that answer the OpenAI protocol for a base model and LoRA adapters by name."""
