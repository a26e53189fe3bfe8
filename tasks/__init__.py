"""The Celery app and thin task bodies. The only place that knows Celery."""
