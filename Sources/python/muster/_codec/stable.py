"""Which functions need to be pickled once only. In: a function of the main program. Out: what its
pickle depends on, to be compared by identity; None where that can change unseen, as in a list that
it refers to."""

import types
from typing import Any, Iterator, List, Optional

_UNCHANGING = (int, float, complex, str, bytes, bool, type(None), types.ModuleType,
               types.BuiltinFunctionType)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def parts(function: Any) -> Optional[List[Any]]:
    if type(function) is not types.FunctionType or function.__dict__ or function.__kwdefaults__:
        return None
    found: List[Any] = [function.__code__]
    known = function.__globals__
    found += [known[name] for name in _names(function.__code__) if name in known]
    found += function.__defaults__ or ()
    try:
        found += [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:
        return None
    # Of a function or class that it refers to, nobody knows what those refer to.
    if all(isinstance(part, _UNCHANGING) for part in found[1:]):
        return found
    return None


def same(one: List[Any], other: Optional[List[Any]]) -> bool:
    return other is not None and len(one) == len(other) and \
        all(a is b for a, b in zip(one, other))
