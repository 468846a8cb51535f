"""Recognising the emotion of recordings with a trained system, outside the recipe it comes from."""
