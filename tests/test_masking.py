"""Many secrets made known to Airflow's masker together: masked as one by one, and compiled once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import mask_secret
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_angus.compat import secrets_masker
from airflow_provider_angus.masking import masked_together

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = st.text("abc.*\\d-é", min_size=0, max_size=12)
NAMES = st.sampled_from([None, "password", "colour"])
KNOWN = st.lists(st.tuples(SECRETS | st.dictionaries(NAMES.filter(bool), SECRETS) | st.lists(SECRETS), NAMES))


@pytest.fixture
def masker() -> Iterator[Any]:
    """Airflow's masker, knowing nothing; what it knew comes back."""
    masker = secrets_masker()
    before = masker.patterns, masker.replacer
    masker.patterns, masker.replacer = set(), None
    yield masker
    masker.patterns, masker.replacer = before


def test_a_secret_is_masked_as_soon_as_it_is_known(masker: Any) -> None:
    with masked_together():
        mask_secret("first-secret")
        assert masker.redact("a first-secret, a second-secret") == "a ***, a second-secret"
        mask_secret("second-secret")
        assert masker.redact("a first-secret, a second-secret") == "a ***, a ***"
        mask_secret("third-secret")
    assert masker.redact("first-secret second-secret third-secret") == "*** *** ***"


def test_the_masker_compiles_when_it_masks_and_in_the_end_not_for_each_secret(masker: Any) -> None:
    mask_secret("one-secret")
    compiled = type(masker.replacer)
    with masked_together():
        for number in range(5):
            mask_secret(f"secret-{number}")
            assert type(masker.replacer) is not compiled
        masker.redact("a text")
        assert type(masker.replacer) is compiled
        mask_secret("the-last-secret")
    assert type(masker.replacer) is compiled
    assert "add_mask" not in vars(masker)


def test_what_is_known_already_and_what_is_no_secret_compiles_nothing(masker: Any) -> None:
    mask_secret("one-secret")
    before = masker.replacer
    with masked_together():
        mask_secret("one-secret")
        mask_secret("blue and green", "colour")
        mask_secret("")
        assert masker.replacer is before


def test_it_may_be_nested_and_ends_with_the_outer_one(masker: Any) -> None:
    with masked_together():
        with masked_together():
            mask_secret("inner-secret")
        mask_secret("outer-secret")
        assert masker.redact("inner-secret outer-secret") == "*** ***"
    assert masker.redact("inner-secret outer-secret") == "*** ***"


def test_an_error_leaves_the_masker_as_it_found_it_and_what_it_learnt_masked(masker: Any) -> None:
    def learn_and_fail() -> None:
        with masked_together():
            mask_secret("some-secret")
            raise KeyError

    with pytest.raises(KeyError):
        learn_and_fail()
    assert "add_mask" not in vars(masker)
    assert masker.redact("some-secret") == "***"


def test_threads_may_learn_and_mask_at_the_same_time(masker: Any) -> None:
    def learn(number: int) -> str:
        mask_secret(secret := f"<secret {number}>")
        return str(masker.redact(f"it is {secret}"))

    with masked_together(), ThreadPoolExecutor(8) as pool:
        assert set(pool.map(learn, range(200))) == {"it is ***"}
    assert all(masker.redact(f"<secret {number}>") == "***" for number in range(200))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(known=KNOWN)
def test_together_is_masked_what_one_by_one_is(masker: Any, known: list[tuple[Any, str | None]]) -> None:
    def masked() -> tuple[set[str], set[str]]:
        # Where secrets overlap, Airflow's own pattern depends on the order of a set.
        return masker.patterns, set(masker.replacer.pattern.split("|") if masker.replacer else ())

    masker.patterns, masker.replacer = set(), None
    for secret, name in known:
        mask_secret(secret, name)
    one_by_one = masked()
    masker.patterns, masker.replacer = set(), None
    with masked_together():
        for secret, name in known:
            mask_secret(secret, name)
    assert masked() == one_by_one
