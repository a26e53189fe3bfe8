"""A cluster to rehearse with: simulated BMCs by the thousand."""
