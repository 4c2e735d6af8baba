"""What the compiled loop writes of a decision: numbers as our encoder has them, ids as hashlib has them. Whole
decisions are compared wherever sessions are (test_session_partition, playback_log)."""

import math
from hashlib import blake2b

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from cuepoint.models.session_decision_json import HEX, SCRATCH, amount, digest
from cuepoint.schemas.codec import encode

seconds = st.floats(0, 1e7)
sums = st.lists(st.integers(0, 10**7).map(lambda ms: ms / 1000), min_size=1, max_size=6).map(sum)


def written(x: float) -> bytes | None:
    buffer = np.zeros(64, dtype=np.uint8)
    end = amount(x, buffer, 0)
    return None if end < 0 else buffer[:end].tobytes()


@given(st.one_of(seconds, sums, st.floats(), st.integers(-9, 60).map(lambda k: 2.0**k)))
@example(0.0)
@example(0.1 + 0.2)
@example(2.0**-10)
@example(2.0**53 - 1)
@example(4503599627370495.5)
@example(1e15)
def test_a_number_is_written_as_our_encoder_writes_it_or_left_to_it(x: float) -> None:
    told = written(x)
    assert told is None or told == encode(x)
    if (x == 0.0 and math.copysign(1.0, x) > 0) or 0.001 <= x <= 1e7:
        assert told is not None


@given(st.binary(max_size=400))
@example(b"")
@example(bytes(128))
@example(bytes(129))
@example(bytes(256))
def test_an_id_is_the_one_of_hashlib(text: bytes) -> None:
    words, buffer = np.full(SCRATCH, 7, dtype=np.uint64), np.zeros(HEX, dtype=np.uint8)
    digest(np.frombuffer(text + b"?", dtype=np.uint8), 0, len(text), words, buffer, 0)
    assert buffer.tobytes().decode() == blake2b(text, digest_size=16).hexdigest()
