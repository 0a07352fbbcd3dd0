"""The applications of sections 4 and 5 of Zhou et al., CVPR 2016: what localizing features are good for."""
