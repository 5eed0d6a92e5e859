"""The Python face of the compiled core: bytes and arrays in, bytes and arrays out; no rule is written down here."""
