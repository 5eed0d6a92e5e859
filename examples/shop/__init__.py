"""A shop's click-stream with a schema of its own, from raw files to features."""
