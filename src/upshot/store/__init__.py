"""Where what people decided is kept."""
