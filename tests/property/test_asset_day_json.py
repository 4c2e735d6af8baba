"""What the compiled writer says is what our encoder would say of the same, to nine digits."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from cuepoint.models import trend_kernel
from cuepoint.models.asset_day_json import FIELDS, asset_days, number
from cuepoint.models.report_names import Names
from cuepoint.schemas.codec import decoder, encode
from cuepoint.schemas.trends import AssetDay

DAY, AT = 737_000, 1_577_000_000_000
finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e250, max_value=1e250)
sizes = st.one_of(finite.map(abs), st.integers(0, 2**53).map(float), st.floats(0, 1), st.floats(1e-7, 1e-3))


asset_days(DAY, AT, np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 9)), Names().table)  # compiled


def written(x: float) -> bytes:
    buffer = np.empty(64, dtype=np.uint8)
    return buffer[: number(x, buffer, 0)].tobytes()


@given(st.one_of(finite, sizes))
@example(0.0)
@example(-0.0)
@example(9.9999999999)
@example(0.99999999999)
@example(1e-5)
@example(9.99999999e-6)
@example(1e16)
@example(9_999_999_999_999_999.0)
@example(123456.5)
@example(2.0**53 + 2)
@example(-1e-291)
def test_a_number_is_written_as_our_encoder_writes_it(x: float) -> None:
    value = float(written(x))
    assert written(x) == encode(value)
    if x == math.floor(x) and abs(x) < 2**53:
        assert value == x
    else:
        assert math.isclose(value, x, rel_tol=6e-9, abs_tol=1e-290)


@given(
    st.lists(
        st.tuples(
            st.text(alphabet='abé"\\😀', min_size=1, max_size=9),
            st.one_of(st.just(math.nan), st.just(-1.0), st.integers(0, 2**53).map(float), st.floats(0, 1e9)),
            st.tuples(*[sizes] * 6, finite, st.floats(0, 1), st.floats(0, 1)),
        ),
        max_size=6,
    )
)
def test_a_day_is_written_as_our_encoder_writes_it(told: list) -> None:
    names, columns = (
        Names(),
        [getattr(trend_kernel, n) for n in ("MEAN", "LOWER_80", "UPPER_80", "LOWER_95", "UPPER_95")],
    )
    columns += [trend_kernel.OUT_LEVEL, trend_kernel.OUT_TREND, trend_kernel.P_SAME, trend_kernel.P_TREND]
    rows = np.array([names.row(name) for name, *_ in told], dtype=np.int64)
    filtered = np.full((len(told), trend_kernel.OUT_WIDTH), 77.0)
    for i, (*_, values) in enumerate(told):
        filtered[i, columns] = values
    counts = np.array([count for _, count, _ in told], dtype=np.float64)
    messages = asset_days(DAY, AT, rows, counts, filtered, names.table)
    assert len(messages) == len(told)
    for (name, count, values), message in zip(told, messages, strict=True):
        said = decoder(AssetDay).decode(message)
        assert encode(said) == message
        assert (said.asset_id, said.day.toordinal(), said.scored_at) == (name, DAY, AT)
        assert (said.count is None) == (not count >= 0)
        assert [getattr(said, field) for field in FIELDS] == [float(written(x)) for x in values]
