"""Who does the work: pools, liveness, planning, supervision and failover."""
