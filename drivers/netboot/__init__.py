"""What a node loads from the network: boot files, the tree they live in, and the loaders themselves."""
