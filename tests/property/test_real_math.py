"""The compiled loops' own exp, log and erfc against the C library's."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from cuepoint.models import real_math

exp, log, erfc = (njit(lambda x, f=f: f(x)) for f in (real_math.exp, real_math.log, real_math.erfc))


@given(st.floats(-700, 700))
@example(0.0)
def test_exp(x: float):
    assert math.isclose(exp(x), math.exp(x), rel_tol=1e-14)


@given(st.floats(1e-300, 1e300))
@example(1.0)
def test_log(x: float):
    assert math.isclose(log(x), math.log(x), rel_tol=1e-14, abs_tol=1e-15)


@given(st.floats(0, 25))
def test_erfc(x: float):
    assert math.isclose(erfc(x), math.erfc(x), rel_tol=1.2e-7)


def test_beyond_700_exp_stays_where_it_is():
    assert exp(1e9) == exp(700.0) < math.inf
    assert exp(-1e9) == exp(-700.0) > 0.0
