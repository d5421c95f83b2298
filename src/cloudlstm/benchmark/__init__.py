"""The benchmark: the cells of a matrix, checks that their results are equal, and what their times say."""
