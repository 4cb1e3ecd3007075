"""The networks that come with the package: what is known of them, and where their weights lie.

::

    registry.yaml ── registry.list_networks ──> ShippedNetwork    facts; no torch, no weights
                                                     │
    surfaces-tiny.safetensors  <── registry.locate_weights        a file here, or fetched once
                                                     │
                       model.open_network ──> Checkpoint          reads the weights

Here: data and the list of them. Not here: reading weights, which needs torch. Of a file (float16
safetensors) only the tensors are read; everything else about a network is its entry in
``registry.yaml``: the ``model`` section that builds it, its threshold, what it finds, its
licence, and the checksum of its file.

``tools/ship_network.py`` puts a trained network here: it writes the float16 file and fills in
the checksum of the entry, which is otherwise written by hand.
"""
