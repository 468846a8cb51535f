"""Pretrained speech encoders: what they are, where their weights come from, and their networks."""
