from hypothesis import settings

# No deadline: a shared core that is busy must not fail a property.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
