"""The outside world: BMCs, Redis, daemons. Takes values, returns values; knows no session, queue or job."""
