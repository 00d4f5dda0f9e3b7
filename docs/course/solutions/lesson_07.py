"""Solutions of lesson 7."""


def compose(first, second):
    """Follow both transducers from the start; states wait in a list."""
    waiting, seen, arcs = [(0, 0)], {(0, 0)}, set()
    while waiting:
        one, two = waiting.pop()
        for a in first:
            for b in second:
                if a[0] == one and b[0] == two and a[2] == b[1]:
                    target = (a[4], b[4])
                    arcs.add(((one, two), a[1], b[2], round(a[3] + b[3], 6), target))
                    if target not in seen:
                        seen.add(target)
                        waiting.append(target)
    return arcs


def tree_arcs(pronunciations):
    """Walk down a tree of dictionaries; each new branch is an arc."""
    tree, n_arcs = {}, 0
    for phones in pronunciations:
        node = tree
        for phone in phones:
            n_arcs += phone not in node
            node = node.setdefault(phone, {})
    return n_arcs
