"""The errors Cuepoint raises.

::

    CuepointError
    ├── ConfigurationError      a setting or the surroundings: says what to do
    ├── ContractError           a message or body that breaks its contract: .code, .field, .reason
    │   └── RuleError           a rule that cannot be used: .problems, each with its place
    ├── SnapshotError           a state that cannot be read: wrong version, broken file
    ├── StateLost               an agent's store lost what it held: begin again (streams/processor.py)
    ├── RuleConflict            somebody else changed the rule first: .current (streams/rule_store.py)
    └── Unavailable             a broker or store that does not answer: try again
        └── Busy                the way to the broker is full: slow down (streams/producer.py)
"""

from __future__ import annotations


class CuepointError(Exception):
    """Base of all errors raised on purpose."""


class ConfigurationError(CuepointError):
    """A setting or the surroundings do not allow what was asked; the message says what to do."""


class ContractError(CuepointError):
    """A message breaks its contract.

    ``code`` is short and stable, ``field`` a JSON path, ``reason`` a sentence.
    """

    def __init__(self, code: str, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.code, self.field, self.reason = code, field, reason


class RuleError(ContractError):
    """A rule that contradicts itself or can never fire; ``problems`` is a list of (field, reason)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("invalid_rule", problems[0][0], "; ".join(f"{field}: {reason}" for field, reason in problems))
        self.problems = problems


class SnapshotError(CuepointError):
    """A stored state cannot be read by this version; it is refused, never misread."""


class Unavailable(CuepointError):
    """A broker or store does not answer; the caller may try again."""
