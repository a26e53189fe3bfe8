"""Nothing here asserts how long something takes, and a busy machine makes any example slow."""

from hypothesis import settings

settings.register_profile("serval", deadline=None)
settings.load_profile("serval")
