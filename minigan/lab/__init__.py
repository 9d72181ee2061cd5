"""The lab: a page on this machine on which GANs are watched, broken and measured while they train (`minigan lab`).

    browser  <- server-sent events -  server.py, process.py  <- lines of JSON -  worker.py, which trains
             -  POST commands      ->                         -  lines of JSON ->

The page (`page/`) draws and asks; every number on it comes from the engine. One process serves, a second one trains: it can be
killed, and started again, while the page stays. Nothing leaves the machine.

    guard.py                        who may ask
    points.py, experiment.py        GANs of points in the plane: settings, steps, snapshots
    laws.py, cells.py, truth.py     what is known of data and generator, and what D makes of it
    formulas.py                     each loss as terms with values
    dirac.py, images.py, viewer.py  the phase plane; digits; a run's folder
"""
