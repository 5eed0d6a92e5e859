"""The Python face of the compiled core: arrays in, arrays out."""
