"""How good is a predicted surface? Arrays in, floats out.

::

    pred, label ──masks──► two clean 0/1 volumes (what is ignored is background in both)
                             │
             ┌───────────────┼─────────────────────┐
             ▼               ▼                     ▼
          surface     variation_of_          betti_numbers   b0 b1 b2 of a mask
       surface_dice    information           betti_matching  in 8 octants ─► topology_errors
     precision, recall voi_split, _merge           │          (what is wrong where)
             └───────────────┼─────────────────────┘
                             ▼
                      score.compute_metrics

``run_lengths`` labels connected components for all of them. Matching tunnels
takes ``loops`` (paths around the tunnels of a mask), ``dual_forest`` (the graph of the
background) and ``tunnels`` (which square fills which). Nothing here knows a
configuration or needs torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
