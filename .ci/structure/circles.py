"""Finds circles of imports among sibling modules, and imports from the root file of a crate."""

from collections import deque
from dataclasses import dataclass


@dataclass
class Edge:
    """The imports that lead from one sibling, with all its descendants, to another one."""

    source: object
    target: object
    imports: list


def edges(imports):
    """Gives the edges among siblings as `{parent: {(source, target): Edge}}`.

    An import between a module and its ancestor or descendant makes no edge.
    """
    levels = {}
    for each in imports:
        if each.target is None:
            continue
        source, target = _nodes(each.source), _nodes(each.target)
        depth = 0
        while depth < min(len(source), len(target)) and source[depth] is target[depth]:
            depth += 1
        if depth in (len(source), len(target)):
            continue
        level = levels.setdefault(source[depth - 1], {})
        pair = (source[depth], target[depth])
        level.setdefault(pair, Edge(*pair, [])).imports.append(each)
    return levels


def _nodes(module):
    return [each for each in module.ancestry() if each.node is each]


@dataclass
class Circle:
    """A strongly connected component: its modules, a shortest circle, and all edges within."""

    modules: list
    shortest: list
    edges: list


def circles(imports):
    """Gives every strongly connected component with more than one module."""
    found = []
    for level in edges(imports).values():
        graph = {}
        for source, target in level:
            graph.setdefault(source, []).append(target)
            graph.setdefault(target, [])
        for component in _components(graph):
            if len(component) > 1:
                members = set(component)
                inner = [edge for edge in level.values() if {edge.source, edge.target} <= members]
                found.append(Circle(component, _shortest(component, inner), inner))
    return found


def from_root(imports, root):
    """Gives the imports of items that the root file defines; macros and re-exports are free."""
    return [each for each in imports if each.target is root and each.kind == "item"]


def _components(graph):
    """Finds the strongly connected components (Tarjan), without recursion."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for start in graph:
        if start in index:
            continue
        work = [(start, iter(graph[start]))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, following = work[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(graph[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        other = stack.pop()
                        on_stack.discard(other)
                        component.append(other)
                        if other is node:
                            break
                    found.append(sorted(component, key=lambda each: each.path))
    return found


def _shortest(component, inner):
    """Gives the edges of a shortest circle in a component."""
    graph = {}
    for edge in inner:
        graph.setdefault(edge.source, {})[edge.target] = edge
    best = None
    for start in component:
        came_from = {}
        queue = deque([start])
        while queue and start not in came_from:
            node = queue.popleft()
            for other in graph.get(node, ()):
                if other not in came_from:
                    came_from[other] = node
                    queue.append(other)
        path = [start]
        while len(path) == 1 or path[-1] is not start:
            path.append(came_from[path[-1]])
        if best is None or len(path) < len(best):
            best = path[::-1]
    return [graph[source][target] for source, target in zip(best, best[1:])]
