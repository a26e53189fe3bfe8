"""The results of jobs as Celery programs see them: Celery's database back end, in Serval's own database."""

from celery import Celery
from celery.states import FAILURE, SUCCESS

from core.jobresult import JobResult, failure


class Results:
    """Stores results under Celery task ids; the same one twice does no harm.

    Made before there are other threads: the back end loads sqlalchemy.orm, and a query that another thread
    makes meanwhile meets half a module.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        _ = app.backend

    def store(self, request: str, result: JobResult) -> None:
        """SUCCESS when every node is ok, else FAILURE with the reasons."""
        if result.well:
            self._app.backend.store_result(request, result.to_told(), SUCCESS)
        else:
            self._app.backend.store_result(request, failure(result), FAILURE)

    def forget_old(self) -> None:
        """Forget results that are older than the app's `result_expires`."""
        self._app.backend.cleanup()
