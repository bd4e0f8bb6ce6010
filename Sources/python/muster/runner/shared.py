"""One set of globals for the main program's functions in a pool's processes, so that what an
initializer sets is seen by the functions that come later. In: cloudpickle, which gives each pickle
globals of its own. Used by opening.py, in processes that serve one pool alone."""

import sys
from typing import Any, Dict


def keep_globals() -> None:
    import cloudpickle.cloudpickle as cp

    if getattr(cp, "_muster_keeps", False):
        return
    cp._muster_keeps = True
    main: Dict[str, Any] = sys.modules["__main__"].__dict__
    make, set_state = cp._make_function, cp._function_setstate

    def made(code: Any, globals: Any, *rest: Any) -> Any:
        if isinstance(globals, dict) and globals.get("__name__") == "__main__":
            for name, value in globals.items():
                main.setdefault(name, value)
            globals = main
        return make(code, globals, *rest)

    def with_state(function: Any, state: Any) -> Any:
        if getattr(function, "__globals__", None) is main and isinstance(state, tuple):
            slots = dict(state[1])
            # What is there was set here, by an initializer or an item.
            known = slots.get("__globals__", {})
            slots["__globals__"] = {
                name: value for name, value in known.items() if name not in main}
            state = (state[0], slots)
        return set_state(function, state)

    cp._make_function, cp._function_setstate = made, with_state
