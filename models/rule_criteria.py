"""What criteria trees ask for, and what of them is settled when a play begins."""

from __future__ import annotations

from cuepoint.schemas.rules import All, AnyOf, CriteriaTree, Not

FIXED_FIELDS = frozenset(
    ("video_length_s", "category", "channel", "country", "ad_type", "ad_category", "ad_rating", "affiliate")
)


def split_criteria(tree: CriteriaTree) -> tuple[CriteriaTree, CriteriaTree]:
    """(what is settled when a play begins, the rest); both must hold. Settled are conditions on FIXED_FIELDS alone."""
    parts = tree.of if isinstance(tree, All) else [tree]
    fixed = [part for part in parts if FIXED_FIELDS.issuperset(fields_of(part))]
    return All(of=fixed), All(of=[part for part in parts if part not in fixed])


def fields_of(tree: CriteriaTree) -> tuple[str, ...]:
    """The fields a tree asks for, in the order of their first mention."""
    if isinstance(tree, All | AnyOf):
        return tuple(dict.fromkeys(field for part in tree.of for field in fields_of(part)))
    return fields_of(tree.of) if isinstance(tree, Not) else (tree.field,)
