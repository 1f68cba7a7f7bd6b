"""The knowledge about each operator that a valid case needs: a table of small functions."""

import importlib
import pkgutil

RECIPES = {}


def recipe(*operators, domain=""):
    """Registers a function that fills a builder, for some operators."""

    def register(function):
        for operator in operators:
            RECIPES[domain, operator] = function
        return function

    return register


def load():
    """Registers all recipes; gives the table."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return RECIPES
