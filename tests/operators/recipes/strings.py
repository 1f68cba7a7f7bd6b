"""Operators on strings."""

import numpy as np

from . import recipe


@recipe("StringConcat")
def string_concat(b):
    shape = b.draw.shape(0, 3)
    b.op([b.tensor(object, b.draw.broadcast(shape)), b.tensor(object, b.draw.broadcast(shape))])


@recipe("StringSplit")
def string_split(b):
    b.op(
        [b.tensor(object, b.draw.shape(0, 2))],
        {"delimiter": b.maybe([",", " ", ""]), "maxsplit": b.maybe([0, 1, 2])},
        2,
    )


@recipe("RegexFullMatch")
def regex(b):
    b.op(
        [b.tensor(object, b.draw.shape(0, 2))],
        {"pattern": b.draw.pick(["a.*", "[A-Z]+", ".*", "", "the|The"])},
    )


@recipe("StringNormalizer")
def string_normalizer(b):
    given = {
        "case_change_action": b.maybe(["NONE", "LOWER", "UPPER"]),
        "is_case_sensitive": b.maybe([0, 1]),
    }
    if b.draw.chance(0.5):
        given["stopwords"] = ["the", "a"]
    b.op([b.tensor(object, (b.draw.between(1, 5),))], given)


@recipe("TfIdfVectorizer")
def tf_idf(b):
    draw = b.draw
    x = b.add(
        draw.numpy.integers(0, 5, draw.shape(1, 2, 0)).astype(draw.pick([np.int32, np.int64])), 0.1
    )
    b.op(
        [x],
        {
            "mode": draw.pick(["TF", "IDF", "TFIDF"]),
            "min_gram_length": 1,
            "max_gram_length": 2,
            "max_skip_count": draw.between(0, 1),
            "ngram_counts": [0, 2],
            "ngram_indexes": [0, 1, 2],
            "pool_int64s": [1, 2, 1, 3],
            "weights": b.maybe([[1.0, 0.5, 2.0]]),
        },
    )
