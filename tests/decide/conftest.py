"""Property tests: no deadline for one example, for the machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("steady", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
