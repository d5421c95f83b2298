"""The bars store: the bars of a source as they were known on each day, kept by content.

    store = Store.of(root, config)              # version.py
    changes = update(store, config, as_of)      # update.py: fetches the new bars, and writes one version
    version = store.newest()                    # the last version; store.newest(day): as known on that day
    version.bars(); version.tail(66)

A version is a list of pieces. A piece has a date `from` for each of its tickers: it replaces all bars of the ticker
from that date on. An append, a correction, a history that is fetched anew and a new ticker are all this one rule.
"""
