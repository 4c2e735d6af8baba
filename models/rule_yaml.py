"""Rules written as YAML."""

from __future__ import annotations

import msgspec
import yaml

from cuepoint.models.rule_check import check_rule
from cuepoint.schemas.codec import explain
from cuepoint.schemas.errors import ContractError, RuleError
from cuepoint.schemas.rules import AdRule


def load_rules(text: str) -> list[AdRule]:
    """A YAML list of rules, each checked; ``type`` may be left out.

    Raises ContractError or RuleError whose field begins with the rule's place in the list (``$[3]``).

    >>> load_rules("[{rule_id: pre, name: Pre-roll, insertion: {at: start}}]")[0].rule_id
    'pre'
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractError("malformed", "$", str(error)) from error
    if not isinstance(values, list):
        raise ContractError("malformed", "$", "expected a list of rules")
    rules = [_rule(value, f"$[{number}]") for number, value in enumerate(values)]
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        if rule.rule_id in seen:
            raise ContractError("invalid", f"$[{number}].rule_id", f"{rule.rule_id} stands twice")
        seen.add(rule.rule_id)
    return rules


def _rule(value: object, place: str) -> AdRule:
    if isinstance(value, dict):
        value = {"type": "ad-rule.v1", **value}
    try:
        rule = msgspec.convert(value, AdRule)
        check_rule(rule)
    except RuleError as error:
        raise RuleError([(place + field.removeprefix("$"), reason) for field, reason in error.problems]) from error
    except msgspec.ValidationError as error:
        found = explain(error)
        raise ContractError(found.code, place + found.field.removeprefix("$"), found.reason) from error
    return rule
