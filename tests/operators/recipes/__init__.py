"""The knowledge about each operator that a valid case needs: a table of small functions."""

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
    from . import (attention, control, convolution, conversion, elementwise, generation, images,
                   indexing, layout, learning, matrices, normalisation, pooling, recurrent,
                   reduction, sequences, signal, strings)

    return RECIPES
