"""Events: their bytes, their files, and made-up traffic."""
