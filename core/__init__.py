"""Pure rules and values of Serval: no I/O, no server, standard library (and ClusterShell's folding) only."""
