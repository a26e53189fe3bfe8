"""Tables as xCAT names them, look-ups, definitions and the job store. The only place that knows SQLAlchemy."""
