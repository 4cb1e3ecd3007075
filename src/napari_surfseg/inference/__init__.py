"""Prediction: a trained network slid over volumes of any size.

::

    Volume --(prefetch thread)--> uint8 slab --> windows --> network --> probabilities
                                                                              |
       OUT.zarr / OUT.tif  <-- 0/1 or 0..255 <-- slabs of finished planes <-- blended

- ``windows``   where the windows lie and how they are blended; geometry only, no torch
- ``stream``    the engine: windows in, finished planes out, memory for one slab
- ``region``    ``predict_region``: probabilities of a box, in memory
- ``predictor`` ``predict_volume``: a whole volume to a file
- ``output``    OME-Zarr and TIFF writers that leave nothing half-written
- ``tuning``, ``postprocessed``  post-processing chosen on validation data, and applied
- ``evaluation`` a predicted volume scored against labels, with the errors of its topology
- ``job``, ``evaluation_job``  each as a process of its own, for the window
"""
