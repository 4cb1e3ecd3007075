"""How good is a predicted surface? Arrays in, floats out.

::

    pred, label ──masks──► two clean 0/1 volumes (what is ignored is background in both)
                             │
             ┌───────────────┼─────────────────────┐
             ▼               ▼                     ▼
          surface        partition             topology
       surface_dice    voi_split/merge    b0 b1 b2 of each mask,
     precision, recall    voi_score     Betti matching in 8 octants
             └───────────────┼─────────────────────┘
                             ▼
                      score.compute_metrics

``run_lengths`` labels connected components for all of them, ``features`` says
where the topology broke. Nothing here knows a configuration or needs torch.
"""
