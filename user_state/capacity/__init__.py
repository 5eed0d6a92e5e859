"""What a spec needs at a scale: memory, network, writes, workers, money. Not imported by `import user_state`."""
