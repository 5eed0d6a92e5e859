"""Records as bytes, and what is done with them: the Python face of the compiled core. Arrays in, arrays out."""
