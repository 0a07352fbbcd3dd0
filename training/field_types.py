"""Whether a value fits the annotation of a field, and what an error calls the annotation."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_UNIONS = (Union, UnionType)

_NAMES = {
    NoneType: "None",
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "True or False",
}


def fits(value: Any, kind: Any) -> bool:
    """Whether a value fits an annotation: a class, a `Literal`, a union or a tuple of these.

    An integer fits `float`. True and False fit only `bool`.

    Examples:
        >>> fits((1, 0.5), tuple[float, float]), fits(None, int | None), fits(True, int)
        (True, True, False)
    """
    origin = get_origin(kind)
    if origin is Literal:
        return value in get_args(kind) and not isinstance(value, bool)
    if origin in _UNIONS:
        return any(fits(value, option) for option in get_args(kind))
    if origin is tuple:
        kinds = get_args(kind)
        if not isinstance(value, tuple) or (kinds[-1] is not ... and len(kinds) != len(value)):
            return False
        return all(fits(entry, kinds[0]) for entry in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def described(kind: Any) -> str:
    """An annotation in words, for the rule of an error.

    Examples:
        >>> described(tuple[float, float] | None), described(Literal["sgd", "adamw"])
        ('a tuple of 2 values, each a number, or None', "one of ['sgd', 'adamw']")
    """
    origin = get_origin(kind)
    if origin is Literal:
        return f"one of {list(get_args(kind))}"
    if origin in _UNIONS:
        return " or ".join(described(option) for option in get_args(kind))
    if origin is tuple:
        kinds = get_args(kind)
        count = "values" if kinds[-1] is ... else f"{len(kinds)} values"
        return f"a tuple of {count}, each {described(kinds[0])},"
    return _NAMES.get(kind, f"a `{getattr(kind, '__name__', kind)}`")
