"""Records of many runs: queried in place, as series over releases and dates, with change points."""
