"""Finds the names of types that one crate declares twice."""

from .conditions import exclusive

EXCEPTED = ("Error", "Result")


def findings(crate):
    """Gives each name with two declarations that one build can contain."""
    places = {}
    for module in crate.modules:
        for item in module.body.types:
            if item.name not in EXCEPTED:
                conditions = (*module.conditions, *item.conditions)
                place = f"{module.file}:{item.line}"
                # A file that `#[path]` includes twice declares its names once.
                places.setdefault(item.name, {}).setdefault(id(item), (place, conditions))
    for name, declared in sorted(places.items()):
        found = list(declared.values())
        twice = [
            place
            for i, (place, conditions) in enumerate(found)
            if any(
                not exclusive(conditions, others)
                for j, (_, others) in enumerate(found)
                if i != j
            )
        ]
        if twice:
            yield name, tuple(twice)
