"""Tables as xCAT names them, look-ups, definitions, the job store. The only place that knows SQLAlchemy."""
