"""Prediction: a trained network slid over volumes of any size. No training, no window.

::

    Volume --(prefetch thread)--> uint8 slab --> windows --> network --> probabilities
                                                                              |
       OUT.zarr / OUT.tif  <-- 0/1 or 0..255 <-- slabs of finished planes <-- blended

- ``settings``            what every prediction shares: window, overlap, flips, device, ...
- ``windows``             where the windows lie and how they are blended; geometry only, no torch
- ``window_size``         how large a window the network and the device can take
- ``sliding_window``      the engine: windows in, finished planes out, memory for one slab
- ``predict_region``      probabilities of a box, in memory
- ``predict_volume``      a whole volume to a file
- ``volume_writer``       OME-Zarr and TIFF writers that leave nothing half-written
- ``postprocess_tuning``  post-processing chosen on validation data
- ``postprocess_slabs``   post-processing of a volume that comes in pieces, exact at any size
- ``evaluate_volume``     a predicted volume scored against labels, with the errors of its topology
- ``prediction_process``, ``evaluation_process``  each as a process of its own, for the window
"""
