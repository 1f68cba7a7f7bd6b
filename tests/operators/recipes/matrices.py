"""Products of matrices."""

from . import recipe
from .conversion import quantised, scale, zero_point


def matrix_shapes(draw, vectors=True):
    """Two shapes whose matrix product exists."""
    rows, inner, columns = draw.size(0.04), draw.size(), draw.size()
    batch = draw.shape(0, 3)
    left = draw.broadcast(batch) + (rows, inner)
    right = draw.broadcast(batch) + (inner, columns)
    if vectors and draw.chance(0.12):
        left = (inner,)
    if vectors and draw.chance(0.12):
        right = (inner,)
    return left, right


@recipe("MatMul")
def matmul(b):
    left, right = matrix_shapes(b.draw)
    b.op([b.tensor(b.type(), left), b.tensor(b.type(), right, constant=0.4)])


@recipe("MatMulInteger")
def matmul_integer(b):
    draw = b.draw
    left, right = matrix_shapes(draw, False)
    t1, t2 = b.type("T1"), b.type("T2")
    inputs = [quantised(b, t1, left), quantised(b, t2, right, 0.6)]
    if draw.chance(0.7):
        rows = (left[-2],) if draw.chance(0.2) and len(left) == 2 else ()
        inputs.append(zero_point(b, t1, rows))
        draw.marks.add(f"a_zero_point rank={len(rows)}")
        if draw.chance(0.7):
            columns = (right[-1],) if draw.chance(0.4) else ()
            inputs.append(zero_point(b, t2, columns))
            draw.marks.add(f"b_zero_point rank={len(columns)}")
    b.op(inputs)


@recipe("QLinearMatMul")
def qlinear_matmul(b):
    draw = b.draw
    left, right = matrix_shapes(draw, False)
    t1, t2, t3 = b.type("T1"), b.type("T2"), b.type("T3")
    b.op(
        [
            quantised(b, t1, left),
            scale(b, ()),
            zero_point(b, t1, ()),
            quantised(b, t2, right, 0.5),
            scale(b, ()),
            zero_point(b, t2, ()),
            scale(b, ()),
            zero_point(b, t3, ()),
        ]
    )


@recipe("Gemm")
def gemm(b):
    draw = b.draw
    rows, inner, columns = draw.size(), draw.size(), draw.size()
    trans_a, trans_b = b.maybe([0, 1]), b.maybe([0, 1])
    left = (inner, rows) if trans_a else (rows, inner)
    right = (columns, inner) if trans_b else (inner, columns)
    inputs = [b.tensor(b.type(), left), b.tensor(b.type(), right, constant=0.4)]
    attributes = {"transA": trans_a, "transB": trans_b}
    if b.version < 7:
        attributes["broadcast"] = 1
    if b.version < 11 or draw.chance(0.7):
        inputs.append(b.tensor(b.type(), draw.broadcast((rows, columns)), constant=0.4))
    factors = [0.0, 0.5, 1.0, 2.0, -1.5]
    b.op(inputs, attributes | {"alpha": b.maybe(factors), "beta": b.maybe(factors)})


EQUATIONS = (
    "ij,jk->ik",
    "ij,jk",
    "bij,bjk->bik",
    "ij->ji",
    "ij->",
    "ii->i",
    "ii",
    "ij,ij->i",
    "i,j->ij",
    "bhid,bhjd->bhij",
    "...ij,...jk->...ik",
    "ij,kj->ik",
    "ijk->kij",
    "ij->j",
    "i,i->",
    "i->",
    "bij,jk->bik",
    "ij,jk,kl->il",
    "...i->...",
    "ij, jk -> ik",
    "aij,aij->aij",
    "ik,jk",
    "i,i",
    "ba",
)


@recipe("Einsum")
def einsum(b):
    draw = b.draw
    equation = draw.pick(EQUATIONS)
    sizes = {}
    batch = draw.shape(0, 2)
    inputs = []
    for term in equation.split("->")[0].replace(" ", "").split(","):
        shape = []
        if "..." in term:
            shape += batch
        shape += [sizes.setdefault(letter, draw.size()) for letter in term.replace("...", "")]
        inputs.append(b.tensor(b.type(), shape))
    b.op(inputs, {"equation": equation})


@recipe("Det")
def det(b):
    size = b.draw.between(1, 4)
    b.op([b.tensor(b.type(), b.draw.shape(0, 2) + (size, size))])
