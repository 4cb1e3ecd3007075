"""Prediction: a trained network slid over volumes of any size. No training, no window.

::

    Volume --> plan.json --> blocks of windows --> network --> one file a finished block
                                                                          |
       OUT.zarr / OUT.tif  <-- post-processing, block by block  <-- probabilities

- ``settings``            what every prediction shares: window, overlap, flips, device, ...
- ``windows``             where the windows lie and how they are blended; geometry only, no torch
- ``window_size``         how large a window the network and the device can take
- ``sliding_window``      the engine: windows in, finished planes out, memory for one slab
- ``predict_region``      probabilities of a box, in memory
- ``predict_volume``      a whole volume to a file: what the volume decides
- ``prediction_run``      ... from a plan over its blocks to the output
- ``prediction_folder``   the plan and the finished blocks on disk; they are gone on with
- ``predict_blocks``      which blocks are left, and one process that predicts them
- ``coarse_to_fine``      blocks that a coarse look finds empty, and what leaving them out misses
- ``cluster``             ... and the workers of a Dask cluster that do
- ``block_grid``          how windows are divided into blocks; geometry only
- ``block_network``, ``block_sums``  a block predicted, and sums that depend on no order
- ``fingerprint``         whether it is still the same image and network
- ``volume_writer``       OME-Zarr and TIFF writers that leave nothing half-written
- ``pyramid``             the arrays of an OME-Zarr: shards, coarser levels
- ``postprocess_tuning``  post-processing chosen on validation data
- ``evaluate_volume``     a predicted volume scored against labels, with the errors of its topology
- ``prediction_process``, ``evaluation_process``  each as a process of its own, for the window
"""
