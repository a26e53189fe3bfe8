"""The one app that `celery -A tasks` runs: that of the home this process was started for."""

from db.home import open_home
from tasks.app import create_app

app = create_app(open_home())
