"""How many examples a property is tried with: a fifth of them in `make test`, and there always the same ones.

Rule: a busy machine fails no property, so nothing here has a time limit; see `HealthCheck.too_slow`, too.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
_USUAL = 100


def choose_profile(*, short: bool) -> None:
    """Decide for what is imported from now on."""
    settings.register_profile("long", _PATIENT, max_examples=_USUAL)
    settings.register_profile("short", _PATIENT, max_examples=_USUAL // 5, derandomize=True, database=None)
    settings.load_profile("short" if short else "long")


def examples(count: int) -> settings:
    """Try a property with so many examples in the long run."""
    share = (settings.default or _PATIENT).max_examples / _USUAL
    return settings(max_examples=max(10, int(count * share)))
