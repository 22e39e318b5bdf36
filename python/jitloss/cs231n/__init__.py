"""The module tree of the course CS231n on the fast kernels: in a notebook, ``cs231n`` becomes ``jitloss.cs231n``.

Names, arguments, results and what is printed are the course's. So is the regularisation, object by object, as in the
handouts from 2018 on: ``reg * sum(W * W)`` in the linear losses, the classifiers and ``neural_net.TwoLayerNet``, half
of that in ``fc_net.TwoLayerNet``. Each takes `reg_scale`, the factor on `reg`; 0.5 is that of 2015 and 2016.
"""
