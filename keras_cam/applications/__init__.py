"""The applications in sections 4 and 5 of Zhou et al., CVPR 2016: generic features and what they discover."""
